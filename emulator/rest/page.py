"""The page for people who would rather look: builds, jobs, executions, live log.

Read-only: it asks ``/_emulator/state`` and ``/_emulator/log`` again and again. A table is
made anew only when it has changed, so that what is selected or focused stays so.
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Emulated Google Cloud</title>
<style>
  :root { color-scheme: light dark }
  body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem;
         padding: 0 1rem; color: CanvasText; background: Canvas }
  h1 { font-size: 1.2rem } h2 { font-size: 1rem; margin: 2rem 0 .3rem }
  small { font-weight: normal; opacity: .75 }
  table { border-collapse: collapse; width: 100% }
  td, th { text-align: left; padding: .25rem .8rem .25rem 0; vertical-align: top;
           border-bottom: 1px solid color-mix(in srgb, CanvasText 18%, Canvas) }
  th { font-weight: 600; opacity: .75 }
  td.id { font-family: ui-monospace, monospace; overflow-wrap: anywhere }
  td.time { white-space: nowrap }
  tr[tabindex] { cursor: pointer }
  tr.chosen { background: color-mix(in srgb, Highlight 15%, Canvas) }
  ol { margin: 0; padding-left: 1.2rem }
  pre { background: color-mix(in srgb, CanvasText 6%, Canvas); padding: 1rem; margin: 0;
        overflow: auto; min-height: 3rem; max-height: 34rem; white-space: pre-wrap;
        overflow-wrap: anywhere }
  time { opacity: .6; user-select: none }
  .ERROR, .CRITICAL, .FAILURE, .TIMEOUT, .EXPIRED, .INTERNAL_ERROR { color: #d0333f }
  .WARNING, .CANCELLED { color: #a06a00 }
  .SUCCESS { color: #17853c } .WORKING { color: #2667d8 }
</style>
</head>
<body>
<h1>Emulated project <span id="project"></span></h1>
<h2>Builds</h2>
<table><thead><tr><th>Build<th>Status<th>Since<th>Steps</tr></thead>
<tbody id="builds"></tbody></table>
<h2>Jobs</h2>
<table><thead><tr><th>Job</tr></thead><tbody id="jobs"></tbody></table>
<h2>Executions</h2>
<table><thead><tr><th>Execution<th>Status<th>Since</tr></thead>
<tbody id="executions"></tbody></table>
<h2>Log <small id="which">of a build or an execution: choose one above</small></h2>
<pre id="log" tabindex="0"></pre>
<script>
  let filter = null, next = 0;
  const shown = {};
  const $ = id => document.getElementById(id);
  const make = (kind, text, name) => {
    const made = document.createElement(kind);
    made.textContent = text; made.className = name || ''; return made;
  };
  const short = name => name.split('/').pop();
  const clock = when => when.slice(0, 19).replace('T', ' ');
  const choose = (wanted, name) => {
    filter = wanted; next = 0; $('log').replaceChildren();
    $('which').textContent = 'of ' + name;
    for (const row of document.querySelectorAll('tr[tabindex]'))
      row.classList.toggle('chosen', row.dataset.filter === wanted);
  };
  const fill = (id, rows) => {
    if (shown[id] === JSON.stringify(rows)) return;
    shown[id] = JSON.stringify(rows);
    $(id).replaceChildren();
    for (const { cells, list, detail, wanted } of rows) {
      const row = document.createElement('tr');
      for (const [text, kind] of cells) row.append(make('td', text, kind));
      if (list) {
        const steps = document.createElement('ol'), cell = document.createElement('td');
        for (const [text, kind] of list) steps.append(make('li', text, kind));
        cell.append(steps, make('div', detail)); row.append(cell);
      }
      if (wanted) {
        row.tabIndex = 0; row.dataset.filter = wanted;
        row.classList.toggle('chosen', wanted === filter);
        row.onclick = () => choose(wanted, cells[0][0]);
        row.onkeydown = key => { if (key.key === 'Enter') row.onclick(); };
      }
      $(id).append(row);
    }
    if (!rows.length) {
      const row = document.createElement('tr');
      row.append(make('td', 'none')); row.firstChild.colSpan = 9; $(id).append(row);
    }
  };
  const ended = e => !e.done ? ['running', 'WORKING'] : e.cancelled ? ['cancelled', 'CANCELLED']
    : e.failed ? ['failed', 'FAILURE'] : ['succeeded', 'SUCCESS'];
  const buildRow = b => ({
    cells: [[b.id, 'id'], [b.status, b.status], [clock(b.created), 'time']],
    list: b.steps.map(s => [s.id + ': ' + s.status.toLowerCase(), s.status]),
    detail: b.detail,
    wanted: 'resource.type="build" AND resource.labels.build_id="' + b.id + '"' });
  const executionRow = e => ({
    cells: [[short(e.name), 'id'], ended(e), [clock(e.created), 'time']],
    wanted: 'labels."run.googleapis.com/execution_name"="' + short(e.name) + '"' });
  const ask = async path => (await fetch(path)).json();
  const read = async () => {
    const asked = filter;
    const told = await ask('/_emulator/log?from=' + next + '&filter=' +
                           encodeURIComponent(asked));
    if (asked !== filter) return;
    next = told.next;
    const log = $('log'), below = log.scrollHeight - log.scrollTop - log.clientHeight;
    for (const line of told.lines) {
      const span = make('span', '', line.severity);
      span.append(make('time', line.time.slice(11, 23) + '  '), line.text + '\\n');
      log.append(span);
    }
    if (below < 40) log.scrollTop = log.scrollHeight;
  };
  async function look() {
    try {
      const state = await ask('/_emulator/state');
      $('project').textContent = state.project + ', ' + state.region;
      fill('builds', state.builds.map(buildRow));
      fill('jobs', state.jobs.map(name => ({ cells: [[short(name), 'id']] })));
      fill('executions', state.executions.map(executionRow));
      if (filter) await read();
    } catch (error) { $('project').textContent = '(the emulator does not answer)'; }
    setTimeout(look, 1000);
  }
  look();
</script>
</body>
</html>
"""
