
'use strict';
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Text becomes text, whatever a target put into it; backticks hold what is to be read literally.
function put(into, name, kind, text) {
  const element = document.createElement(name);
  element.className = kind;
  const pieces = text.split('`');
  pieces.forEach((piece, at) => {
    if (at % 2 === 0 || pieces.length % 2 === 0) return element.append(piece);
    const code = document.createElement('code');
    code.append(piece);
    element.append(code);
  });
  into.append(element);
  return element;
}

// An answer that was cut cannot say why; its report is kept under the id of the request.
async function kept(id) {
  const response = await fetch('/.well-known/goodgate/reports/' + id);
  return response.ok ? response.json() : null;
}

async function ask(path, method) {
  const began = performance.now();
  const body = method === 'POST' ? 'ok' : undefined;
  const response = await fetch(path, { method, body, cache: 'no-store' });
  const seen = { method, status: response.status, cut: false, text: '', report: null };
  try {
    seen.text = await response.text();
  } catch {
    seen.cut = true;
  }
  seen.ms = Math.round(performance.now() - began);
  const kind = response.headers.get('content-type') || '';
  if (seen.cut) seen.report = await kept(response.headers.get('x-request-id'));
  else if (kind.startsWith('application/problem+json')) seen.report = JSON.parse(seen.text);
  return seen;
}

function show(answer, seen, all) {
  const cut = seen.cut ? ', cut:' : '';
  const cause = seen.report ? ' ' + seen.report.cause : ' OK';
  const status = put(answer, 'p', 'status', seen.status + cut + cause);
  put(status, 'span', 'took', 'after ' + seen.ms + ' ms');
  if (all.length > 1) {
    const words = all.map((it) => it.method + ' ' + it.status);
    put(answer, 'p', 'steps', 'Asked: ' + words.join(', then '));
  }
  const report = seen.report;
  if (!report) return put(answer, 'p', 'detail', 'The answer of the target, passed on as it is.');
  put(answer, 'p', 'detail', (report.detail || report.title) + '.');
  if (report.evidence && report.evidence.length) put(answer, 'p', 'label', 'What was seen');
  for (const it of report.evidence || []) {
    const quote = put(answer, 'p', 'quote', '');
    put(quote, 'code', '', it.quote);
    put(quote, 'span', '', it.source + ': ' + it.says);
  }
  const fixes = report.fix ? report.fix.now : [];
  if (fixes.length) put(answer, 'p', 'label', 'What to do');
  const list = document.createElement('ol');
  for (const it of fixes) {
    const item = put(list, 'li', '', it.text);
    if (it.run) put(item, 'code', 'run', it.run);
  }
  if (fixes.length) answer.append(list);
  if (report.retry) put(answer, 'p', 'steps', 'Repeat it? ' + report.retry.says);
}

async function fill(answer) {
  answer.replaceChildren();
  put(answer, 'p', 'wait', 'Asking …');
  const all = [];
  try {
    for (const step of answer.dataset.steps.split(',')) {
      const [method, ms] = step.split(' ');
      await pause(Number(ms));
      all.push(await ask(answer.dataset.path, method));
    }
    answer.replaceChildren();
    show(answer, all.findLast((it) => it.report) || all.at(-1), all);
  } catch (error) {
    answer.replaceChildren();
    put(answer, 'p', 'wait', 'The gateway does not answer any more (' + error.message + ').');
  }
}

for (const card of document.querySelectorAll('details')) {
  const answer = card.querySelector('.answer');
  const opened = () => card.open && fill(answer);
  card.addEventListener('toggle', opened);
}
