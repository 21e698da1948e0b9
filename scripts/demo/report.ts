interface Row {
  readonly rule: string;
  readonly step: string;
  readonly happened: boolean;
  readonly detail: string;
}

const width = 118;

/** What the demo did, told while it happens and once more as a table at the end. */
export class Report {
  readonly #rows: Row[] = [];
  readonly #started = Date.now();

  heading(text: string): void {
    console.log(`\n${text}`);
  }

  /** A step without which nothing that follows makes sense: what it throws ends the demo. */
  async step<T>(what: string, action: () => Promise<T>): Promise<T> {
    const started = Date.now();
    process.stdout.write(`${this.#clock()}  ${what} ... `);
    const result = await action();
    console.log(`${((Date.now() - started) / 1000).toFixed(1)} s`);
    this.#rows.push({ rule: '', step: what, happened: true, detail: `${((Date.now() - started) / 1000).toFixed(1)} s` });
    return result;
  }

  /** A step of one rule: what comes out is its detail; where it throws it did not happen, which the table says. */
  async row<T>(rule: string, step: string, action: () => Promise<T>): Promise<T> {
    try {
      const result = await action();
      this.#add({ rule, step, happened: true, detail: String(result) });
      return result;
    } catch (error) {
      this.#add({ rule, step, happened: false, detail: error instanceof Error ? error.message : String(error) });
      throw error;
    }
  }

  failed(error: unknown): void {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    if (this.#rows.every(({ happened }) => happened)) this.#add({ rule: '', step: 'the demo', happened: false, detail });
  }

  /** @returns whether everything happened */
  print(): boolean {
    const all = this.#rows.every(({ happened }) => happened);
    console.log(`\n${'-'.repeat(width)}`);
    for (const { rule, step, happened, detail } of this.#rows) {
      const name = rule === '' ? step : `${rule.padEnd(28)} ${step.padEnd(11)}`;
      console.log(
        `${happened ? ' ok ' : 'FAIL'}  ${name.padEnd(42)} ${detail.length > width - 49 ? `${detail.slice(0, width - 52)}...` : detail}`,
      );
    }
    console.log('-'.repeat(width));
    console.log(`${all ? 'Everything happened' : 'Something did not happen'}, in ${Math.round((Date.now() - this.#started) / 1000)} s.`);
    return all;
  }

  #add(row: Row): void {
    this.#rows.push(row);
    console.log(`${this.#clock()}  ${row.happened ? '' : 'FAILED '}${row.rule} ${row.step}: ${row.detail}`);
  }

  #clock(): string {
    return `${((Date.now() - this.#started) / 1000).toFixed(0).padStart(3)} s`;
  }
}
