import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Change } from '../../guard/change.ts';
import { practices } from '../../guard/finding.ts';
import type { Exemption } from '../../guard/ledger.ts';
import type { PlannedFix } from '../../guard/replay.ts';
import type { AnyRule } from '../../guard/rule.ts';
import type { Unknown } from '../../guard/scan.ts';
import { inClone } from '../clone.ts';
import { whatOf } from '../formats/fix.ts';
import { onPage, version } from '../pages.ts';
import { many, minuteOf, whoOf } from '../terminal.ts';
import { ageChart, bar, countsOf, sumOf, timesChart, timesInWords } from './charts.ts';
import { Html, html } from './html.ts';
import { markdown } from './markdown.ts';
import type { History, Open, Report } from './model.ts';
import { duration, gravest, momentOf, nameOf } from './words.ts';

const beside = (name: string) => readFileSync(inClone('cli', 'report', name), 'utf8').trim();
const style = beside('page.css');
const script = beside('page.js');
const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** The report as one file that loads nothing: whoever gets it by mail sees what the sender saw. */
export function page(report: Report): string {
  const { account, regions, at, findings, unknown, history, replay } = report;
  const policy = `default-src 'none'; style-src ${hash(style)}; script-src ${hash(script)}; base-uri 'none'; form-action 'none'`;
  const where = `account ${account}, ${regions.join(', ')}`;
  return `${
    html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Lambda compliance, ${where}, ${at.slice(0, 10)}</title>
<style>${new Html(style)}</style>
</head>
<body>
${findings.length === 0 ? undefined : html`<a class="skip" href="#findings">To the findings</a>`}
<header>
<p class="over">Lambda compliance report</p>
<h1>${headline(report)}</h1>
<p class="lead quiet">Account <strong>${account}</strong> in ${regions.join(', ')}, as of <time datetime="${at}">${momentOf(at)}</time>.
${sourceOf(report)}, by ${many(report.rules.length, 'rule')}.</p>
${figures(report)}
</header>
<main>
${posture(report)}
${history !== undefined ? times(report, history) : replay === undefined ? onlyNow : fixesOf(replay.fixes)}
${unknown.length === 0 ? undefined : notKnown(unknown)}
${findings.length === 0 ? undefined : findingsOf(report)}
${history === undefined ? undefined : [changesOf(history.changes), exemptionsOf(history.exemptions, Date.parse(at))]}
${findings.length === 0 ? undefined : byHand(report)}
</main>
<footer>
<p>Made by lambda-compliance-guard ${version}. This file loads nothing from elsewhere and tells nobody that it was opened.</p>
</footer>
<script>${new Html(script)}</script>
</body>
</html>`.text
  }\n`;
}

function sourceOf({ history, replay }: Report): string {
  if (replay === undefined) return history === undefined ? 'From a scan' : "From the deployed guard's ledger";
  const { files, period } = replay;
  const over = period === undefined ? '' : `, ${momentOf(period.from)} to ${momentOf(period.to)}`;
  return `From a replay of ${many(files, 'log file')}${over}`;
}

function headline({ findings, unknown, replay }: Report): string {
  const critical = findings.filter(({ severity }) => severity === 'critical').length;
  if (findings.length > 0)
    return `${many(findings.length, 'finding')} ${replay === undefined ? `${findings.length === 1 ? 'is' : 'are'} open` : 'in what is replayed'}${critical === 0 ? ', none of them critical' : `, ${critical} of them critical`}`;
  return unknown.length === 0
    ? 'Nothing is wrong'
    : `Nothing that could be read is wrong; ${many(unknown.length, 'thing')} could not be read`;
}

function figures({ findings, unknown }: Report): Html {
  const counts = countsOf(findings);
  return html`<ul class="figures" aria-label="Open findings by severity">
${gravest.map((severity) => html`<li class="${severity}"><b>${counts[severity]}</b> <span>${severity}</span></li>`)}
<li><b>${unknown.length}</b> <span>could not be read</span></li>
</ul>`;
}

const key = html`<ul class="key" aria-hidden="true">${gravest.map((severity) => html`<li class="${severity}">${severity}</li>`)}</ul>`;

function posture({ rules, findings, unknown }: Report): Html {
  const rows = practices
    .map((practice) => {
      const own = rules.filter((rule) => rule.practice === practice);
      const counts = countsOf(findings.filter((finding) => finding.practice === practice));
      const broken = own.filter(({ id }) => findings.some(({ rule }) => rule === id)).length;
      const doubtful = own.filter(({ id }) => isDoubtful(id, findings, unknown)).length;
      return { practice, own, counts, kept: own.length - broken - doubtful, doubtful };
    })
    .filter(({ own, counts }) => own.length > 0 || sumOf(counts) > 0);
  const most = Math.max(0, ...rows.map(({ counts }) => sumOf(counts)));
  return html`<section aria-labelledby="posture">
<h2 id="posture">Posture by practice</h2>
<div class="wide" role="region" aria-label="Practices, as a table" tabindex="0">
<table>
<thead><tr><th scope="col">Practice</th><th scope="col">Rules kept</th><td></td>${gravest.map(
    (severity) => html`<th scope="col" class="number">${severity}</th>`,
  )}</tr></thead>
<tbody>
${rows.map(
  ({ practice, own, counts, kept, doubtful }) => html`<tr><th scope="row">${practiceNames[practice]}</th>
<td class="nowrap">${kept} of ${own.length}${doubtful === 0 ? undefined : html` <span class="quiet">(${doubtful} not known)</span>`}</td>
<td class="picture">${bar(counts, most)}</td>${gravest.map((severity) => html`<td class="number">${counts[severity]}</td>`)}</tr>
`,
)}</tbody>
</table>
</div>
${key}
</section>`;
}

const practiceNames = {
  roles: 'One role per function',
  secrets: 'Secrets',
  apis: 'Authorization of APIs',
  vpc: 'VPC',
  deployments: 'Control of deployments',
  guard: 'The guard itself',
} as const;

/** Neither broken nor known to be kept. */
function isDoubtful(id: string, findings: readonly Open[], unknown: readonly Unknown[]): boolean {
  return !findings.some(({ rule }) => rule === id) && unknown.some(({ rule }) => rule === id || rule === '*');
}

const onlyNow = html`<p class="quiet">A scan sees what is wrong now. Since when, how soon it was found and fixed, and what was changed or exempted is what a
deployed guard remembers: <code>npm run guard -- report</code>.</p>`;

function times({ findings, at }: Report, { toDetect, toFix }: History): Html {
  return html`<div class="pair">
<section aria-labelledby="age">
<h2 id="age">Open, by age</h2>
${findings.length === 0 ? html`<p>Nothing is open.</p>` : [ageChart(findings, Date.parse(at)), key]}
</section>
<section aria-labelledby="times">
<h2 id="times">Time to detect and to fix</h2>
${
  toDetect.length + toFix.length === 0
    ? html`<p>No event told of a finding yet, and none has ended.</p>`
    : html`${timesChart([
        { what: 'to detect', times: toDetect },
        { what: 'to fix', times: toFix },
      ])}
<p class="quiet">From the call to the finding: ${timesInWords(toDetect)}. From the finding to its end: ${timesInWords(toFix)}.</p>`
}
</section>
</div>`;
}

/** What a replay knows beside what it found. */
function fixesOf(fixes: readonly PlannedFix[]): Html {
  return html`<section aria-labelledby="fixes">
<h2 id="fixes">What would have been fixed</h2>
<p class="quiet">Of rules in remediate, as the account is now. Nothing was changed.</p>
${
  fixes.length === 0
    ? html`<p>Nothing.</p>`
    : tableOf(
        'What would have been fixed',
        ['At', 'Resource', 'Rule', 'What'],
        fixes.map((fix) => [
          html`<time datetime="${fix.at}">${momentOf(fix.at)}</time>`,
          html`<a href="#finding-${fix.findingId}">${nameOf(fix.resource)}</a>`,
          fix.rule,
          whatOf(fix),
        ]),
      )
}
</section>`;
}

function notKnown(unknown: readonly Unknown[]): Html {
  return html`<section aria-labelledby="unknown">
<h2 id="unknown">Not known</h2>
<p>This could not be read, so nobody knows whether it is right.</p>
${tableOf(
  'Not known',
  ['Resource', 'Rule', 'Why'],
  unknown.map(({ resource, rule, why }) => [html`<code>${resource}</code>`, rule === '*' ? 'all' : rule, why]),
)}
</section>`;
}

function tableOf(name: string, heads: readonly string[], rows: readonly (readonly (string | Html)[])[]): Html {
  return html`<div class="wide" role="region" aria-label="${name}, as a table" tabindex="0">
<table>
<thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>
${rows.map(
  (row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>
`,
)}</tbody>
</table>
</div>`;
}

function findingsOf({ findings, at, rules }: Report): Html {
  const named = (values: readonly string[]) => [...new Set(values)].sort();
  const choice = (name: string, caption: string, values: readonly string[]) => html`<label><span class="caption">${caption}</span>
<select name="${name}"><option value="">all</option>${values.map((value) => html`<option>${value}</option>`)}</select></label>`;
  return html`<section aria-labelledby="findings">
<h2 id="findings" tabindex="-1">Findings</h2>
<div class="filters" id="filters" role="search" aria-label="Filter the findings" hidden>
<label><span class="caption">Text</span><input type="search" name="text" autocomplete="off" spellcheck="false"></label>
<fieldset><legend>Severity</legend>${gravest.map(
    (severity) => html`<label class="check"><input type="checkbox" name="severity" value="${severity}" checked>${severity}</label>`,
  )}</fieldset>
${choice('practice', 'Practice', named(findings.map(({ practice }) => practice)))}
${choice('rule', 'Rule', named(findings.map(({ rule }) => rule)))}
<button type="button">Show all</button>
</div>
<p class="quiet" id="count" role="status">All ${findings.length} findings are shown.</p>
${findings.map((finding) =>
  article(
    finding,
    Date.parse(at),
    rules.find(({ id }) => id === finding.rule),
  ),
)}
</section>`;
}

function article(finding: Open, now: number, rule: AnyRule | undefined): Html {
  const { findingId, severity, practice, rule: id, summary, resource, status, since, actor, event, managedBy, evidence, plan } = finding;
  const fact = (name: string, value: string | Html | undefined) =>
    value === undefined
      ? undefined
      : html`<dt>${name}</dt><dd>${value}</dd>
`;
  return html`<article class="finding" id="finding-${findingId}" data-severity="${severity}" data-practice="${practice}" data-rule="${id}" aria-labelledby="name-${findingId}">
<header><h3 id="name-${findingId}">${nameOf(resource.arn)}</h3>
<p><span class="severity ${severity}">${severity}</span></p>
<p><a href="#rule-${id}">${id}</a></p>
${since === undefined ? undefined : html`<p class="quiet">open for ${duration(now - Date.parse(since))}</p>`}
${status === 'open' ? undefined : html`<p class="quiet">${status}</p>`}</header>
<p>${summary}</p>
<dl>
${fact('Resource', html`<code>${resource.arn}</code>`)}${fact('Since', since === undefined ? undefined : momentOf(since))}${fact(
  'By',
  actor === undefined ? undefined : `${whoOf(actor.arn)}${actor.console ? ' in the console' : ''}, from ${actor.sourceIp}`,
)}${fact('With', event === undefined ? undefined : html`<code>${event.name}</code> at ${momentOf(event.time)}`)}${fact(
  'Managed by',
  managedBy === undefined
    ? undefined
    : `${managedBy.stack} ${managedBy.logicalId}: put it right there too, or the next deployment may bring it back`,
)}${fact('Finding', html`<code>${findingId}</code>`)}</dl>
${
  Object.keys(evidence).length === 0
    ? undefined
    : html`<h4>Evidence</h4>
<dl>
${Object.entries(evidence).map(([name, value]) => fact(name, shown(value)))}</dl>`
}
<h4>Plan</h4>
${planOf(plan, finding, rule)}
</article>
`;
}

/** What a fix would do, as far as it is known here. */
function planOf(plan: readonly string[], { rule: id, findingId, since }: Open, rule: AnyRule | undefined): Html {
  const byHandLink = html`<a href="#rule-${id}">How to put it right by hand</a>`;
  if (plan.length > 0)
    return html`<ol class="plan">${plan.map((call) => html`<li><code>${call}</code></li>`)}</ol>
<p>${byHandLink}</p>`;
  if (rule !== undefined && rule.fix.length === 0) return html`<p>The guard has no fix for this rule. ${byHandLink}</p>`;
  if (since === undefined) return html`<p>None was made. ${byHandLink}</p>`;
  return html`<p><code>npm run guard -- plan ${findingId}</code> reads the resource and shows each call with its undo. ${byHandLink}</p>`;
}

/** Evidence as somebody reads it: words, and lists of them; what lies deeper as JSON. */
function shown(value: unknown, depth = 0): Html {
  if (Array.isArray(value)) {
    if (value.length === 0) return html`<span class="quiet">none</span>`;
    const items = value.map((one) => shown(one, depth + 1));
    return value.every(isPlain) || depth > 0 ? listed(items, ', ') : html`${items.map((item) => html`<div>${item}</div>`)}`;
  }
  if (typeof value !== 'object' || value === null) return html`<code>${String(value)}</code>`;
  if (depth > 2) return html`<code>${JSON.stringify(value)}</code>`;
  const pairs = Object.entries(value).map(([name, one]) => html`<span class="quiet">${name}</span> ${shown(one, depth + 1)}`);
  return listed(pairs, '; ');
}

function isPlain(value: unknown): boolean {
  return typeof value !== 'object' || value === null;
}

function listed(items: readonly Html[], separator: string): Html {
  return html`${items.map((item, index) => html`${index === 0 ? '' : separator}${item}`)}`;
}

function changesOf(changes: readonly Change[]): Html {
  const undone = changes.filter(({ status }) => status === 'undone' || status === 'reverted').length;
  return html`<section aria-labelledby="changes">
<h2 id="changes">Changes that the guard made</h2>
${
  changes.length === 0
    ? html`<p>None.</p>`
    : html`<p>${many(changes.length, 'change')}, ${undone} of them taken back. Each can be: <code>npm run guard -- undo &lt;change&gt; --for 7d --reason "…"</code>.</p>
${tableOf(
  'Changes that the guard made',
  ['Begun', 'Resource', 'Rule', 'Calls', 'Status', 'Change'],
  changes.map(({ startedAt, resource, rule, calls, status, undoneBy, id }) => [
    html`<time datetime="${startedAt}">${momentOf(startedAt)}</time>`,
    nameOf(resource),
    rule,
    listed(
      calls.filter((call) => call !== '').map((call) => html`<code>${call}</code>`),
      ', ',
    ),
    undoneBy === undefined ? status : `${status} by ${whoOf(undoneBy)}`,
    html`<code>${id}</code>`,
  ]),
)}`
}
</section>`;
}

function exemptionsOf(exemptions: readonly Exemption[], now: number): Html {
  return html`<section aria-labelledby="exemptions">
<h2 id="exemptions">Exemptions, the first to end first</h2>
${
  exemptions.length === 0
    ? html`<p>None.</p>`
    : tableOf(
        'Exemptions',
        ['Ends', 'Rule', 'Resource', 'Reason', 'Owner', 'Granted by'],
        exemptions.map(({ expires, rule, resource, reason, owner, by }) => [
          html`<time datetime="${new Date(expires).toISOString()}">${minuteOf(expires)}</time> <span class="quiet">${expires > now ? `in ${duration(expires - now)}` : 'has ended'}</span>`,
          rule,
          html`<code>${resource}</code>`,
          reason,
          owner,
          whoOf(by),
        ]),
      )
}
</section>`;
}

function byHand({ findings, rules }: Report): Html {
  const concerned = [...new Set(findings.map(({ rule }) => rule))].sort();
  return html`<section aria-labelledby="by-hand">
<h2 id="by-hand">How to put it right by hand</h2>
<p class="quiet">What the guard's own fix does, so that a person can do the same. The rule's page, <code>docs/rules/&lt;rule&gt;.md</code> beside the guard's code, has
the rest: when not to use the rule, its limits, and how a fix is taken back.</p>
${concerned.map((id) => {
  const fix = onPage(id, 'How to fix it by hand') || onPage(id, 'What the fix does');
  const breaks = onPage(id, 'What can break');
  const open = findings.filter(({ rule }) => rule === id);
  return html`<section class="rule" id="rule-${id}" aria-labelledby="about-${id}">
<h3 id="about-${id}">${id}</h3>
<p>${rules.find((rule) => rule.id === id)?.title ?? open[0]?.title}. ${many(open.length, 'finding')}: ${open.map(
    ({ findingId, resource }, index) => html`${index === 0 ? '' : ', '}<a href="#finding-${findingId}">${nameOf(resource.arn)}</a>`,
  )}.</p>
${markdown(fix)}
${breaks === '' ? undefined : html`<h4>What can break</h4>${markdown(breaks)}`}
<p class="quiet"><code>docs/rules/${id}.md</code></p>
</section>
`;
})}</section>`;
}
