import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';

const formats = {
  uri: (text: string) => URL.canParse(text),
  'uri-reference': (text: string) => URL.canParse(text, 'https://example.com/') && !/[\s\\]/.test(text),
  'date-time': (text: string) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text),
};

const schema = (name: string) => JSON.parse(readFileSync(join(import.meta.dirname, '../../../schemas/vendor', name), 'utf8'));

// SARIF's schema is of draft 4; what it uses of that means the same in draft 7, but for its name.
const { $schema: _, id: __, ...draft4 } = schema('sarif-2.1.0-rtm.5.json');
const options = { allErrors: true, strict: false, unicodeRegExp: false, formats };
const validators = {
  sarif: new Ajv(options).compile(draft4),
  ocsf: new Ajv2020(options).compile(schema('ocsf-1.8.0-compliance-finding.json')),
};

/** What a document breaks of the schema that is published for its format. */
export function complaints(format: keyof typeof validators, document: unknown): readonly string[] {
  const validate = validators[format];
  if (validate(document)) return [];
  return (validate.errors ?? []).map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`);
}
