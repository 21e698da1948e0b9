import type { AnyCall, Handle } from '../guard/call.ts';
import { type Config, withModes } from '../guard/config.ts';
import { OnlyTheAccountKnows } from '../guard/errors.ts';
import { findingId } from '../guard/finding.ts';
import type { Ledger } from '../guard/ledger.ts';
import type { AnyRule } from '../guard/rule.ts';
import { type Scanned, scan, type Unknown } from '../guard/scan.ts';
import { MemoryLedger } from '../ledger/memory.ts';
import { rules } from '../rules/index.ts';
import type { Result } from './formats.ts';
import { shippedWith } from './session.ts';
import { TemplateWorld } from './template/answers.ts';
import { isRaw } from './template/document.ts';
import { type TemplateFile, templatesIn } from './template/files.ts';
import { Template } from './template/resources.ts';
import type { Deployment } from './template/values.ts';
import { type Options, parametersGiven, splitParameters, WrongUse } from './use.ts';

/** Rules that ask what is in an account, and no template has. */
const ofAccounts: ReadonlySet<string> = new Set(['guard-tampered', 'secret-in-code', 'secret-not-rotated']);
const isSenseless = ({ id, accepts }: AnyRule) => accepts === true || ofAccounts.has(id);

/** What a scan of templates found. */
export interface ScannedTemplates {
  readonly result: Omit<Result, 'stats'> & { readonly resources: number };
  /** Some template could not be read at all. */
  readonly unreadable: boolean;
}

/**
 * Looks at templates that are not deployed yet, without an account and without credentials: by the parameters that the guard
 * ships with, and those that are given.
 * @throws WrongUse where there is no template
 */
export async function scanTemplates(path: string, chosen: readonly AnyRule[] | undefined, options: Options): Promise<ScannedTemplates> {
  const at = new Date().toISOString();
  const place = placeOf(options);
  const named = options['rule'] === undefined ? [] : (chosen ?? []);
  const without = named.find(isSenseless);
  if (without !== undefined) throw new WrongUse(`${without.id} asks what a template cannot say: scan the account for it.`);
  const files = filesAt(path);
  const { ofStack, ofTemplates } = splitParameters(options, parametersOf(files, options));
  const deployment = { ...place, parameters: ofTemplates };
  const shipped = shippedWith(deployment, 'stack', ofStack);
  const judged = rules.filter(
    (rule) => !isSenseless(rule) && (chosen === undefined ? shipped.rule(rule.id).mode !== 'off' : chosen.includes(rule)),
  );
  if (judged.length === 0) throw new WrongUse('None of these rules judges templates: scan the account for them.');
  const config = withModes(shipped, (id) => (judged.some((rule) => rule.id === id) ? 'alert' : 'off'));
  const scanned: Scanned[] = [];
  for (const file of files) scanned.push(await scanOf(file, judged, config, deployment));
  return {
    result: {
      account: deployment.account,
      regions: [deployment.region],
      at,
      rules: judged,
      findings: scanned.flatMap(({ findings }) => findings),
      unknown: scanned.flatMap(({ unknown }) => unknown),
      resources: scanned.reduce((sum, { resources }) => sum + resources, 0),
      functions: scanned.flatMap(({ functions }) => functions),
    },
    unreadable: files.some(({ document }) => 'why' in document),
  };
}

function filesAt(path: string): readonly TemplateFile[] {
  let files: readonly TemplateFile[];
  try {
    files = templatesIn(path);
  } catch (error) {
    throw new WrongUse(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (files.length === 0) throw new WrongUse(`There is no template of SAM or CloudFormation in ${path}.`);
  return files;
}

/** The names of the parameters that templates have; one that cannot be read may have any. */
function parametersOf(files: readonly TemplateFile[], options: Options): readonly string[] {
  const names = files.flatMap(({ document }) => {
    if ('why' in document) return Object.keys(parametersGiven(options));
    const { Parameters } = document.content;
    return isRaw(Parameters) ? Object.keys(Parameters) : [];
  });
  return [...new Set(names)];
}

function placeOf(options: Options): Omit<Deployment, 'parameters'> {
  const { region, account } = options;
  if (typeof region === 'string' && (region === 'all' || region.includes(',')))
    throw new WrongUse('A template is scanned for one region: give --region one, or none.');
  if (account !== undefined && !/^\d{12}$/.test(String(account)))
    throw new WrongUse(`--account takes 12 digits; "${account}" is no account.`);
  return {
    region: typeof region === 'string' ? region : 'us-east-1',
    account: typeof account === 'string' ? account : '000000000000',
    regionGiven: typeof region === 'string',
    accountGiven: typeof account === 'string',
  };
}

async function scanOf(
  { file, document }: TemplateFile,
  judged: readonly AnyRule[],
  config: Config,
  deployment: Deployment,
): Promise<Scanned> {
  if ('why' in document)
    return {
      findings: [],
      unknown: [{ rule: '*', resource: file, why: document.why, template: { file, line: 1 } }],
      resources: 0,
      functions: [],
    };
  const template = new Template(document, deployment);
  // A rule that never fixes has no plan: what is wrong is put right in the template.
  const ruling = judged.map((rule) => ({ ...rule, fix: [] }));
  const [sure, least] = [new TemplateWorld(template, false), new TemplateWorld(template, true)];
  const [whole, certain] = [await scanned(sure, ruling, config), await scanned(least, ruling, config)];
  const place = (logicalId: string | undefined) =>
    logicalId === undefined ? { file, line: 1 } : { file, line: template.lines.get(logicalId) ?? 1, logicalId };
  const findings = certain.findings.map((finding) => ({
    ...finding,
    evidence: { ...finding.evidence, template: place(least.logicalIdOf(finding.resource.arn)) },
    // The same names may stand in two templates.
    findingId: findingId(finding.rule, `${file} ${finding.resource.arn}`),
  }));
  const unknown = new Map<string, Unknown>();
  for (const one of [...whole.unknown, ...certain.unknown]) {
    const { rule, resource } = one;
    const isKnown = findings.some((finding) => finding.rule === rule && finding.resource.arn === resource);
    const key = `${rule} ${resource}`;
    const why = one.why.replace(/^Whether .* could not be read \((.*)\)\.$/s, '$1').replace('OnlyTheAccountKnows: ', '');
    if (!isKnown && !unknown.has(key)) unknown.set(key, { rule, resource, why, template: place(sure.logicalIdOf(resource)) });
  }
  for (const { rule, logicalId, why } of sure.doubts) {
    if (rule !== '*' && !judged.some(({ id }) => id === rule)) continue;
    const resource = logicalId === undefined ? file : `${file}#${logicalId}`;
    unknown.set(`${rule} ${resource} ${why}`, { rule, resource, why, template: place(logicalId) });
  }
  return { findings, unknown: [...unknown.values()], resources: template.resources.length, functions: whole.functions };
}

async function scanned(world: TemplateWorld, judged: readonly AnyRule[], config: Config): Promise<Scanned> {
  const connect = <const Calls extends readonly AnyCall[]>(calls: Calls) =>
    Object.fromEntries(calls.map(({ name }) => [name, (input: unknown) => world.answer(name, input)])) as Handle<Calls>;
  async function* pages() {
    yield world.functions;
  }
  const ledger = ledgerOf(world);
  await recordNetworks(world, ledger);
  return await scan(pages(), judged, { ledger, config, now: Date.now, connect }, { concurrency: 1 });
}

/** Who else uses a role that the template does not make, only the account knows. */
function ledgerOf(world: TemplateWorld): Ledger {
  const ledger = new MemoryLedger();
  const longestUsers = ledger.longestUsers.bind(ledger);
  ledger.longestUsers = async (role) => {
    const users = await longestUsers(role);
    if (users.length < 2 && !world.atLeast && !world.makesRole(role))
      throw new OnlyTheAccountKnows(`who else uses the role ${role} is not in the template`);
    return users;
  };
  return ledger;
}

/** Where all functions are, before any of them is judged: so that each finding names them all. */
async function recordNetworks(world: TemplateWorld, ledger: Ledger): Promise<void> {
  for (const { FunctionArn } of world.functions) {
    try {
      const { VpcConfig } = (await world.answer('getFunctionConfiguration', { FunctionName: FunctionArn })) as {
        readonly VpcConfig?: { readonly SubnetIds?: readonly string[]; readonly SecurityGroupIds?: readonly string[] };
      };
      const groups = [...(VpcConfig?.SecurityGroupIds ?? [])];
      const subnets = [...(VpcConfig?.SubnetIds ?? [])];
      await ledger.recordNetwork({ function: FunctionArn, asOf: 0, groups, subnets });
    } catch (error) {
      if (!(error instanceof OnlyTheAccountKnows)) throw error;
    }
  }
}
