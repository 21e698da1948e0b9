import * as z from 'zod';
import {
  deleteFunctionCodeSigningConfig,
  enforceCodeSigning,
  getCodeSigningConfig,
  getFunctionCodeSigningConfig,
  getFunctionConfiguration,
  listCodeSigningTags,
  listTags,
  putCodeSigningBack,
  putFunctionCodeSigningConfig,
} from '../../aws/lambda.ts';
import { functionName, matchesGlob, parseArn } from '../../guard/arn.ts';
import type { Handle } from '../../guard/call.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import { ifPresent } from '../../guard/errors.ts';
import type { Estate } from '../../guard/estate.ts';
import { lastModified } from '../../guard/live.ts';
import { cloudTrail, defineRule, type Evaluation, type Plan, type Violation } from '../../guard/rule.ts';
import { codeSigningSubject, functionSubject, type Subject } from '../../guard/subject.ts';

/** The function that an event names: code signing is the whole function's, and every version's code was checked by it. */
function wholeFunction({ request, ...place }: ApiEvent): readonly Subject[] {
  const subject = functionSubject(text(request, 'functionName') ?? '', place, '$LATEST');
  return subject === undefined ? [] : [subject];
}

function configuration({ request, ...place }: ApiEvent): readonly Subject[] {
  const arn = text(request, 'codeSigningConfigArn');
  return arn === undefined ? [] : [codeSigningSubject(arn, place)];
}

const check = [getFunctionCodeSigningConfig, getFunctionConfiguration, getCodeSigningConfig, listTags, listCodeSigningTags] as const;
type Reads = Handle<typeof check>;

const id = 'code-signing-off';

export const rule = defineRule({
  id,
  practice: 'deployments',
  severity: 'medium',
  title: 'A function takes code that nobody signed',
  on: [
    cloudTrail(
      'lambda',
      ['CreateFunction', 'PutFunctionCodeSigningConfig', 'DeleteFunctionCodeSigningConfig', 'DeleteFunction'],
      wholeFunction,
    ),
    cloudTrail('lambda', ['UpdateCodeSigningConfig', 'DeleteCodeSigningConfig'], configuration),
  ],
  check,
  fix: [putFunctionCodeSigningConfig, enforceCodeSigning],
  undo: [deleteFunctionCodeSigningConfig, putCodeSigningBack, enforceCodeSigning],
  delay: 15,
  probation: false,
  params: z.object({
    configArn: z
      .string()
      .regex(
        /^$|^arn:[a-z-]+:lambda:[a-z0-9-]+:\d{12}:code-signing-config:csc-[a-z0-9]{17}$/,
        'it takes the ARN of a code signing configuration',
      )
      .default('')
      .describe('The ARN of the code signing configuration that functions with a zip package must have. Empty: none must.'),
    functions: z
      .string()
      .default('*')
      .transform((list) => list.split(',').map((glob) => glob.trim()))
      .describe('Name patterns of the functions that must have it, comma-separated.'),
  }),

  async evaluate(subject, { aws, estate, params: { configArn, functions } }) {
    const isMeant = subject.type !== 'AWS::Lambda::Function' || functions.some((glob) => matchesGlob(functionName(subject.arn), glob));
    if (configArn === '' || !isMeant) return { violations: [], compliant: [subject] };
    if (subject.type === 'AWS::Lambda::CodeSigningConfig') return await judgeConfiguration(subject, configArn, aws, estate);
    const signed = (await ifPresent(aws.getFunctionCodeSigningConfig({ FunctionName: subject.arn })))?.CodeSigningConfigArn ?? '';
    if (signed === configArn) {
      // The configuration is a finding of its own, which its own events end.
      const { violations } = await judgeConfiguration(codeSigningSubject(configArn, subject), configArn, aws, estate);
      return { violations, compliant: [subject] };
    }
    const { PackageType = 'Image' } = (await ifPresent(aws.getFunctionConfiguration({ FunctionName: subject.arn }))) ?? {};
    if (PackageType === 'Image') return { violations: [], compliant: [subject] };
    const { Tags = {} } = (await ifPresent(aws.listTags({ Resource: subject.arn }))) ?? {};
    const name = functionName(subject.arn);
    const summary =
      signed === ''
        ? `${name} has no code signing configuration: whoever may update its code may put there what nobody signed.`
        : `${name} has another code signing configuration (${signed}) than the one that functions must have: what others signed may be put there.`;
    const evidence = { required: configArn, ...(signed === '' ? {} : { configuration: signed }) };
    return { violations: [{ subject, summary, evidence, tags: Tags }], compliant: [] };
  },

  distinguishes: ({ configuration: other = '' }) => other,

  async plan({ subject }, { aws, estate, params: { configArn } }) {
    if (subject.type === 'AWS::Lambda::CodeSigningConfig') return await enforceAgain(subject, aws, estate);
    const signed = (await ifPresent(aws.getFunctionCodeSigningConfig({ FunctionName: subject.arn })))?.CodeSigningConfigArn ?? '';
    const named = { FunctionName: subject.arn };
    const step = {
      call: 'putFunctionCodeSigningConfig',
      input: { ...named, CodeSigningConfigArn: configArn },
      undo: [
        signed === ''
          ? { call: 'deleteFunctionCodeSigningConfig', input: named }
          : { call: 'putCodeSigningBack', input: { ...named, CodeSigningConfigArn: signed } },
      ],
    };
    const { account, region } = parseArn(configArn) ?? {};
    if (account !== subject.account || region !== subject.region)
      return { steps: [step], refused: `${configArn} is not in this account and region.` };
    if ((await ifPresent(aws.getCodeSigningConfig({ CodeSigningConfigArn: configArn }))) === undefined)
      return { steps: [step], refused: `${configArn} does not exist.` };
    return { steps: [step] };
  },

  async state(subject, { aws }) {
    if (subject.type === 'AWS::Lambda::CodeSigningConfig') return { untrusted: await untrustedCode(subject, aws) };
    const answer = await ifPresent(aws.getFunctionCodeSigningConfig({ FunctionName: subject.arn }));
    return { configuration: answer?.CodeSigningConfigArn ?? '' };
  },
});

/** What becomes of code that nobody signed: `Enforce` refuses it, `Warn` only counts it. Undefined where the configuration is gone. */
async function untrustedCode({ arn }: Subject, aws: Pick<Reads, 'getCodeSigningConfig'>): Promise<string | undefined> {
  const answer = await ifPresent(aws.getCodeSigningConfig({ CodeSigningConfigArn: arn }));
  return answer?.CodeSigningConfig?.CodeSigningPolicies?.UntrustedArtifactOnDeployment;
}

/** The configuration that functions must have. One that is gone is no function's: Lambda deletes none that is in use. */
async function judgeConfiguration(subject: Subject, required: string, aws: Reads, estate: Estate): Promise<Evaluation> {
  if (subject.arn !== required) return { violations: [], compliant: [subject] };
  const answer = await ifPresent(aws.getCodeSigningConfig({ CodeSigningConfigArn: subject.arn }));
  if (answer?.CodeSigningConfig === undefined) return { violations: [], compliant: [subject] };
  const untrusted = answer.CodeSigningConfig.CodeSigningPolicies?.UntrustedArtifactOnDeployment;
  if (untrusted === 'Enforce') {
    await estate.recordKept(id, subject.arn, { state: { untrusted }, asOf: lastModified(answer.CodeSigningConfig) });
    return { violations: [], compliant: [subject] };
  }
  const { Tags = {} } = (await ifPresent(aws.listCodeSigningTags({ Resource: subject.arn }))) ?? {};
  const violation: Violation = {
    subject,
    summary: `The code signing configuration that functions must have only warns (${subject.arn}): every function that has it takes code that nobody signed.`,
    evidence: { untrusted },
    tags: Tags,
  };
  return { violations: [violation], compliant: [] };
}

async function enforceAgain(subject: Subject, aws: Reads, estate: Estate): Promise<Plan> {
  const untrusted = await untrustedCode(subject, aws);
  if (untrusted === undefined || untrusted === 'Enforce') return { steps: [] };
  const input = (UntrustedArtifactOnDeployment: string) => ({
    CodeSigningConfigArn: subject.arn,
    CodeSigningPolicies: { UntrustedArtifactOnDeployment },
  });
  const step = { call: 'enforceCodeSigning', input: input('Enforce'), undo: [{ call: 'enforceCodeSigning', input: input(untrusted) }] };
  if ((await estate.kept(id, subject.arn)) !== undefined) return { steps: [step] };
  return {
    steps: [step],
    refused: 'The guard never saw it enforce anything: whoever made it may still be trying it out, and deployments would fail.',
  };
}
