import { MemoryLedger } from '../../ledger/memory.ts';
import { ledgerContract } from '../support/ledger-contract.ts';

ledgerContract('MemoryLedger', () => new MemoryLedger());
