import { ledgerContract } from '../support/ledger-contract.ts';
import { MemoryLedger } from '../../ledger/memory.ts';

ledgerContract('MemoryLedger', () => new MemoryLedger());
