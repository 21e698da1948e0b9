import { ledgerContract } from '../support/ledger-contract.ts';
import { MemoryLedger } from '../support/memory-ledger.ts';

ledgerContract('MemoryLedger', () => new MemoryLedger());
