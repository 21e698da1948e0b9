/** Starts the emulator and leaves it running until Ctrl-C: `npm run emulator [-- --port 4566]`. */
import { parseArgs } from 'node:util';
import { startEmulator } from '../test/emulator/start.ts';

const { values } = parseArgs({ options: { port: { type: 'string', default: '4566' }, log: { type: 'string', default: '' } } });
const emulator = await startEmulator({ port: Number(values.port), log: values.log });
console.log(`An account of AWS (${emulator.account}, ${emulator.region}) answers on ${emulator.endpoint} with IAM enforced. For any client:

  export AWS_ENDPOINT_URL=${emulator.endpoint} AWS_REGION=${emulator.region} AWS_DEFAULT_REGION=${emulator.region}
  export AWS_ACCESS_KEY_ID=${emulator.accessKeyId} AWS_SECRET_ACCESS_KEY=${emulator.secretAccessKey}

What was called: ${emulator.endpoint}/_bench/calls · what CloudTrail said: ${emulator.endpoint}/_bench/records · Ctrl-C ends it.`);
process.once('SIGINT', () => void emulator.stop().then(() => process.exit(0)));
process.once('SIGTERM', () => void emulator.stop().then(() => process.exit(0)));
