import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';

const schema = join(import.meta.dirname, '../../schemas/alert.json');
const validate = new Ajv2020({ allErrors: true }).compile(JSON.parse(readFileSync(schema, 'utf8')));

/** Throws where an alert, as JSON carries it, is not what schemas/alert.json promises. */
export function expectValid(alert: unknown): void {
  const carried: unknown = JSON.parse(JSON.stringify(alert));
  if (!validate(carried)) throw new Error(`the alert breaks its schema: ${JSON.stringify(validate.errors)}`);
}
