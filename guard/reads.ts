import { type AnyCall, type Handle, isReading, type Within } from './call.ts';
import { errorKind, isAnswer } from './errors.ts';
import type { Ledger } from './ledger.ts';
import type { Ports } from './ports.ts';

type Answers = Map<string, Promise<unknown>>;

/** The answer that is known, or a new one; what failed is asked again, or what failed in some way alone. */
export function answerOnce(
  answers: Answers,
  key: string,
  ask: () => Promise<unknown>,
  isAskedAgain: (error: unknown) => boolean = () => true,
): Promise<unknown> {
  const known = answers.get(key);
  if (known !== undefined) return known;
  const answer = ask();
  answers.set(key, answer);
  answer.catch((error: unknown) => isAskedAgain(error) && answers.delete(key));
  return answer;
}

/**
 * Asks once for each call and input: two calls that read the same (`getDecryptedConfiguration` is GetFunctionConfiguration with
 * one more right) are one.
 * @param isAskedAgain whether a failed call is made again for whoever asks next
 */
export function asksOnce(
  isAskedAgain: (error: unknown) => boolean,
): (call: AnyCall, input: unknown, ask: () => Promise<unknown>) => Promise<unknown> {
  const asked = new Map<AnyCall['run'], Answers>();
  return ({ run }, input, ask) => {
    const answers: Answers = asked.get(run) ?? new Map();
    asked.set(run, answers);
    return answerOnce(answers, JSON.stringify(input), ask, isAskedAgain);
  };
}

/**
 * Calls that are made once: what one rule has read for a message, another does not read again, nor what the answer to
 * another of these calls holds. Readings that succeeded are kept, and that something is not there; only as long as whoever holds
 * the returned function.
 * @param larger the calls whose answers may stand for others
 */
export function readOnce(connect: Ports['connect'], larger: readonly AnyCall[] = []): Ports['connect'] {
  const once = asksOnce((error) => errorKind(error) !== 'absent');
  const usable = new Set(larger.map(({ run }) => run));
  const ask = async (call: AnyCall, input: unknown): Promise<unknown> =>
    await (connect([call]) as Readonly<Record<string, (input: unknown) => Promise<unknown>>>)[call.name]?.(input);
  const askOnce = (call: AnyCall, input: unknown) => once(call, input, () => ask(call, input));
  const fromLarger = async ({ call, input: inputOf, answer }: Within, input: unknown): Promise<unknown> => {
    try {
      return answer((await askOnce(call, inputOf(input as never))) as never);
    } catch (error) {
      if (!isAnswer(error) || errorKind(error) !== 'lasting') throw error;
      // Who may not make the larger call is not told so again and again.
      usable.delete(call.run);
      return undefined;
    }
  };
  const read = (call: AnyCall, input: unknown): Promise<unknown> => {
    const whole = usable.size === 0 ? undefined : call.within?.find((one) => usable.has(one.call.run));
    return whole === undefined ? askOnce(call, input) : fromLarger(whole, input).then((known) => known ?? askOnce(call, input));
  };
  // Every rule of a look binds its calls, most of them the same, and makes few.
  const methods = new Map<AnyCall, (input: unknown) => Promise<unknown>>();
  const methodOf = (call: AnyCall) => {
    const method = methods.get(call) ?? ((input: unknown) => (isReading(call) ? read(call, input) : ask(call, input)));
    methods.set(call, method);
    return method;
  };
  return <const Calls extends readonly AnyCall[]>(calls: Calls): Handle<Calls> => {
    const handle: Record<string, (input: unknown) => Promise<unknown>> = {};
    for (const call of calls) handle[call.name] = methodOf(call);
    return handle as Handle<Calls>;
  };
}

/** What is written to the indexes, and which of the arguments say what of. */
const records: Readonly<Record<string, (input: readonly unknown[]) => unknown>> = {
  recordRoles: (input) => input,
  recordNetwork: (input) => input,
  recordSecrets: (input) => input,
  // Whoever finds a function gone a moment later finds the same.
  forgetRoles: ([functionArn]) => functionArn,
  forgetNetwork: ([functionArn]) => functionArn,
  forgetSecrets: ([functionArn]) => functionArn,
};

/** What is read from the indexes and of the approved code; whoever writes to one may change it. */
const lookups: readonly string[] = ['functionsIn', 'functionsReading', 'longestUsers', 'baseline'] satisfies (keyof Ledger)[];

/** What is written each time, because it depends on what is there by then, and changes what is looked up. */
const changes: readonly string[] = ['recordBaseline', 'forgetBaseline'] satisfies (keyof Ledger)[];

/**
 * A ledger whose indexes are written once: what a function left is answered to every rule of a message, not only to the first
 * that records where it is now. What was looked up in it is looked up again only after something was written.
 */
export function recordOnce(ledger: Ledger): Ledger {
  const recorded: Answers = new Map();
  const looked: Answers = new Map();
  return new Proxy(ledger, {
    get: (target, name) => {
      const method: unknown = Reflect.get(target, name);
      if (typeof name !== 'string' || typeof method !== 'function') return method;
      const ask = async (input: readonly unknown[]): Promise<unknown> => await Reflect.apply(method, target, input);
      const which = records[name];
      const write = async (input: readonly unknown[]) => await ask(input).finally(() => looked.clear());
      if (which !== undefined)
        return (...input: readonly unknown[]) => answerOnce(recorded, `${name} ${JSON.stringify(which(input))}`, () => write(input));
      if (changes.includes(name)) return (...input: readonly unknown[]) => write(input);
      if (!lookups.includes(name)) return method.bind(target);
      return (...input: readonly unknown[]) => answerOnce(looked, `${name} ${JSON.stringify(input)}`, () => ask(input));
    },
  });
}
