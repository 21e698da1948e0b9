import { bytes } from '../boto.ts';
import { createFunction, packageOf, settled } from '../functions.ts';
import { alerted, alertsAbout, functionRole, held, mark, quiet, stage, undo } from '../stage.ts';

const rule = 'code-signing-off';

let required = '';

/** The configuration that the stack gets as a parameter. */
export async function requiredSigning(): Promise<string> {
  required = await configurationOf('Enforce');
  return required;
}

async function configurationOf(UntrustedArtifactOnDeployment: string): Promise<string> {
  const answer = await stage.boto.call('lambda', 'create_code_signing_config', {
    AllowedPublishers: { SigningProfileVersionArns: ['arn:aws:signer:us-east-1:111122223333:/signing-profiles/release/a1b2c3d4e5'] },
    CodeSigningPolicies: { UntrustedArtifactOnDeployment },
  });
  return answer.CodeSigningConfig.CodeSigningConfigArn;
}

async function signingOf(FunctionName: string): Promise<string> {
  return (await stage.boto.call('lambda', 'get_function_code_signing_config', { FunctionName })).CodeSigningConfigArn ?? '';
}

const upload = (FunctionName: string) =>
  stage.botoPipeline.call('lambda', 'update_function_code', { FunctionName, ZipFile: bytes(packageOf('nobody signed this')) });

export function codeSigningOff(): void {
  describe('code-signing-off', () => {
    it('puts the configuration back where somebody took it, so that unsigned code is refused, and undo takes it away again', async () => {
      const FunctionName = 'code-signing-off-orders';
      await createFunction(FunctionName, await functionRole(FunctionName), { CodeSigningConfigArn: required });
      await quiet();
      await expect(upload(FunctionName)).rejects.toMatchObject({ name: 'CodeVerificationFailedException' });
      const since = mark();
      await held('deployments', () => stage.boto.call('lambda', 'delete_function_code_signing_config', { FunctionName }));
      await alerted({ rule, status: 'open', resource: `function:${FunctionName}` }, since);
      const fixed = await alerted({ rule, status: 'remediated', resource: `function:${FunctionName}` }, since);
      expect(await signingOf(FunctionName)).toBe(required);
      await expect(upload(FunctionName)).rejects.toMatchObject({ name: 'CodeVerificationFailedException' });

      await quiet();
      const afterwards = mark();
      await undo(fixed);
      await quiet();
      expect(await signingOf(FunctionName)).toBe('');
      await upload(FunctionName);
      await settled(FunctionName);
      await quiet();
      expect(alertsAbout(`function:${FunctionName}`, afterwards)).toEqual([`${rule} exempt`]);
    });

    it('has the configuration enforce again where somebody had it only warn', async () => {
      const since = mark();
      const CodeSigningPolicies = { UntrustedArtifactOnDeployment: 'Warn' };
      await held('deployments', () =>
        stage.boto.call('lambda', 'update_code_signing_config', { CodeSigningConfigArn: required, CodeSigningPolicies }),
      );
      await alerted({ rule, status: 'remediated', resource: required }, since);
      const { CodeSigningConfig } = await stage.boto.call('lambda', 'get_code_signing_config', { CodeSigningConfigArn: required });
      expect(CodeSigningConfig.CodeSigningPolicies).toEqual({ UntrustedArtifactOnDeployment: 'Enforce' });
    });
  });
}
