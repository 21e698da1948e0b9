import { deploy, parse } from './template.ts';

const source = `
Parameters:
  Mode: { Type: String, Default: alert, Description: x }
  List: { Type: String, Default: '', Description: x }
Conditions:
  Given: !Not [!Equals [!Ref List, '']]
  Fixes: !And [!Condition Given, !Or [!Equals [!Ref Mode, remediate], !Equals [!Ref Mode, 'off']]]
Globals: { Function: { Environment: { Variables: { STACK: !Ref AWS::StackName } } } }
Resources:
  Always:
    Type: A
    Properties:
      Arn: !Sub 'arn:\${AWS::Partition}:x:\${Always.Arn}'
      Short: !GetAtt Always.Arn
      Long: { Fn::GetAtt: [Always, Arn] }
      Names: !If [Given, !Split [',', !Ref List], !Ref AWS::NoValue]
      First: !Select [0, [a, b]]
      Joined: !Join ['-', [!Ref Mode, !Ref Always]]
      Literal: !Sub ['\${who} \${!kept}', { who: !Ref Mode }]
  Sometimes:
    Type: B
    Condition: Fixes
Outputs: {}
Rules: {}
`;
const template = parse(source);

test('conditions decide what is there, and intrinsic functions what it says', () => {
  expect(deploy({}, template)).toEqual({
    resources: {
      Always: {
        Type: 'A',
        Properties: {
          Arn: 'arn:aws:x:${Always.Arn}',
          Short: '${Always.Arn}',
          Long: '${Always.Arn}',
          First: 'a',
          Joined: 'alert-${Always}',
          Literal: 'alert ${!kept}',
        },
      },
    },
    outputs: {},
    globals: { Environment: { Variables: { STACK: 'guard' } } },
  });
  const { resources } = deploy({ Mode: 'remediate', List: 'a,b', 'AWS::StackName': 'mine' }, template);
  expect(resources['Sometimes']).toEqual({ Type: 'B', Properties: {} });
  expect(resources['Always']?.Properties['Names']).toEqual(['a', 'b']);
});

test.each([
  ['a parameter that is not there', source, { Other: 'x' }, 'no parameter Other'],
  ['a reference to nothing', source.replace('!GetAtt Always.Arn', '!GetAtt Never.Arn'), {}, 'Never.Arn, which is nowhere'],
  ['a condition that is not there', source.replace('Condition: Fixes', 'Condition: Breaks'), {}, 'no condition Breaks'],
  ['a function that it does not know', source.replace('!Select [0, [a, b]]', '!Base64 a'), {}, 'uses Fn::Base64'],
  [
    'a reference to what a condition left out',
    source.replace('!GetAtt Always.Arn', '!GetAtt Sometimes.Arn'),
    {},
    'Always refers to Sometimes',
  ],
])('refuses %s', (_name, text, given: Record<string, string>, message) => {
  expect(() => deploy(given, parse(text))).toThrow(message);
});

test('refuses a key that stands twice', () => {
  expect(() => parse('a: { b: 1, b: 2 }')).toThrow('unique');
});
