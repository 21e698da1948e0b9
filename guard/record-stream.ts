/** What could not be read: where in its file, as which record, and why. */
export interface Unread {
  /** Bytes from the beginning of the file, as it is when it is unpacked. */
  readonly offset: number;
  /** Counted from 1. */
  readonly record: number;
  readonly why: string;
}

/** Whoever takes a record says why it could not be read, or nothing. */
export type Take = (record: Buffer) => string | undefined;

/** No record of CloudTrail is nearly as long; what is longer is broken, and kept in memory no further. */
const longest = 16 * 1024 * 1024;

const [quote, backslash, comma, newline, space] = [34, 92, 44, 10, 32];
const [openBrace, closeBrace, openBracket, closeBracket] = [123, 125, 91, 93];

/** The lists that a file may be: CloudTrail's own, and what `aws cloudtrail lookup-events` prints. */
const lists: readonly string[] = ['Records', 'Events'];

/** How records begin within a list, where the reading takes up again after one that is broken. */
const beginnings = [Buffer.from('{"eventVersion"'), Buffer.from('{"version"')];
const nextLine = Buffer.from('\n{');
/** A beginning may lie across two pieces. */
const overlap = 16;

/**
 * Finds the records in JSON as it arrives, without parsing it: the elements of a list (`{"Records":[…]}`, `[…]`) or objects
 * one after the other, on a line each or not. Only brackets and texts are looked at; whether a record is JSON is seen by
 * whoever parses it. What is broken costs itself, and the reading takes up again at the next record.
 */
export class RecordStream {
  readonly #take: Take;
  readonly #unread: (unread: Unread) => void;
  /** What has arrived of the record under way, and after it. */
  #bytes: Buffer = Buffer.alloc(0);
  /** How much came before that. */
  #before = 0;
  #at = 0;
  #depth = 0;
  /** How deep records lie. */
  #level = 0;
  #inText = false;
  /** Where the record under way begins; -1 between records. */
  #start = -1;
  #records = 0;
  /** Within something that is no object; it is told once. */
  #inJunk = false;
  /** After a broken record, until the beginning of another one is found. */
  #lost = false;

  constructor(take: Take, unread: (unread: Unread) => void) {
    this.#take = take;
    this.#unread = unread;
  }

  /** How many records there were so far, the broken ones too. */
  get records(): number {
    return this.#records;
  }

  /** Whether nothing at all has arrived. */
  get isEmpty(): boolean {
    return this.#before + this.#bytes.length === 0;
  }

  push(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    this.#scan();
    if (this.#start >= 0 && this.#bytes.length - this.#start > longest) {
      this.#broken(`is longer than ${longest / 1024 / 1024} MB`);
      this.#scan();
    }
    const kept = this.#lost
      ? Math.max(0, this.#bytes.length - 16)
      : this.#start >= 0
        ? this.#start
        : Math.min(this.#at, this.#bytes.length);
    this.#bytes = this.#bytes.subarray(kept);
    this.#before += kept;
    this.#at -= kept;
    if (this.#start >= 0) this.#start = 0;
  }

  /** Nothing else comes. */
  end(): void {
    while (this.#start >= 0) {
      this.#broken('is not ended');
      this.#scan();
    }
    if (this.#depth > 0 && !this.#lost) this.#tell(this.#bytes.length, 'the file ends before its list of records does');
  }

  #scan(): void {
    if (this.#lost) this.#find(Math.max(0, this.#at - overlap));
    const bytes = this.#bytes;
    const { length } = bytes;
    if (this.#inText) this.#goOnInText();
    let at = this.#at;
    let depth = this.#depth;
    let level = this.#level;
    while (at < length) {
      const byte = bytes[at++] as number;
      if (byte === quote) {
        if (depth === level) this.#junk(at - 1);
        // Most bytes are within texts: this loop decides how fast all is.
        for (;;) {
          if (at >= length) {
            this.#inText = true;
            break;
          }
          const inner = bytes[at++] as number;
          if (inner === quote) break;
          if (inner === backslash) at += 1;
          else if (inner === newline) {
            this.#at = at;
            this.#depth = depth;
            this.#brokenText();
            at = this.#at;
            depth = this.#depth;
            break;
          }
        }
      } else if (byte === openBrace || byte === openBracket) {
        if (depth === level) this.#opens(byte, at - 1);
        else if (depth === 1 && level === 0 && byte === openBracket) this.#lists(at - 1);
        level = this.#level;
        depth += 1;
      } else if (byte === closeBrace || byte === closeBracket) {
        depth -= 1;
        if (depth > level) continue;
        this.#at = at;
        this.#depth = depth;
        this.#closes();
        at = this.#at;
        depth = this.#depth;
        level = this.#level;
      } else if (depth === level && byte !== space) this.#between(byte, at - 1, depth);
    }
    this.#at = at;
    this.#depth = depth;
  }

  /** To the end of a text that began in an earlier piece. */
  #goOnInText(): void {
    const bytes = this.#bytes;
    while (this.#at < bytes.length) {
      const byte = bytes[this.#at];
      this.#at += byte === backslash ? 2 : 1;
      if (byte !== quote && byte !== newline) continue;
      this.#inText = false;
      if (byte === newline) this.#brokenText();
      return;
    }
  }

  /** No text of JSON goes over the end of a line: a quote is missing. */
  #brokenText(): void {
    if (this.#start >= 0) this.#broken('has a text that is not ended');
  }

  /** Something that was opened as deep as records lie, or less deep, has ended. */
  #closes(): void {
    if (this.#depth < 0) {
      this.#depth = 0;
      this.#junk(this.#at - 1);
    } else if (this.#depth < this.#level) {
      this.#level = 0;
      this.#inJunk = false;
    } else if (this.#start >= 0) this.#taken(this.#at);
  }

  /** A byte beside records. */
  #between(byte: number, at: number, depth: number): void {
    if (byte === comma || (byte === newline && depth === 0)) this.#inJunk = false;
    else if (byte > space && !this.#isMark(at)) this.#junk(at);
  }

  /** A list within what seemed to be a record may be the list of records. */
  #lists(at: number): void {
    if (this.#start < 0 || !isList(this.#bytes, this.#start, at)) return;
    this.#level = 2;
    this.#start = -1;
  }

  #opens(byte: number, at: number): void {
    if (byte === openBrace) {
      this.#start = at;
      this.#inJunk = false;
    } else if (this.#level === 0) this.#level = 1;
    else this.#junk(at);
  }

  #taken(end: number): void {
    const start = this.#start;
    this.#records += 1;
    this.#start = -1;
    const why = this.#take(this.#bytes.subarray(start, end));
    if (why === undefined) return;
    this.#tell(start, why, this.#records);
    // It may have swallowed others.
    const next = nextOf(this.#bytes.subarray(0, end), start + 1, this.#level);
    if (next >= 0) this.#takeUp(next);
  }

  /** The record under way is broken. */
  #broken(why: string): void {
    const start = this.#start;
    this.#records += 1;
    this.#tell(start, why, this.#records);
    this.#find(start + 1);
  }

  /** Takes up at the next record that can be seen from there. */
  #find(from: number): void {
    const next = nextOf(this.#bytes, from, this.#level);
    if (next >= 0) this.#takeUp(next);
    else {
      this.#takeUp(this.#bytes.length);
      this.#lost = true;
    }
  }

  #takeUp(at: number): void {
    this.#at = at;
    this.#depth = this.#level;
    this.#inText = false;
    this.#start = -1;
    this.#inJunk = false;
    this.#lost = false;
  }

  #junk(at: number): void {
    if (this.#inJunk) return;
    this.#inJunk = true;
    this.#records += 1;
    this.#tell(at, 'is no object', this.#records);
  }

  #tell(at: number, why: string, record = this.#records): void {
    this.#unread({ offset: this.#before + at, record, why });
  }

  /** The mark of byte order before the first byte. */
  #isMark(at: number): boolean {
    return this.#before + at < 3 && [0xef, 0xbb, 0xbf][this.#before + at] === this.#bytes[at];
  }
}

/** Whether the bracket opens the list of records: `"Records" : [`. */
function isList(bytes: Buffer, from: number, bracket: number): boolean {
  const key = /"(\w+)"\s*:\s*$/.exec(bytes.toString('latin1', Math.max(from, bracket - 40), bracket))?.[1];
  return key !== undefined && lists.includes(key);
}

/** Where the next record seems to begin, or -1. */
function nextOf(bytes: Buffer, from: number, level: number): number {
  if (level === 0) {
    const line = bytes.indexOf(nextLine, from);
    return line < 0 ? -1 : line + 1;
  }
  const found = beginnings.map((beginning) => bytes.indexOf(beginning, from)).filter((at) => at >= 0);
  return found.length === 0 ? -1 : Math.min(...found);
}
