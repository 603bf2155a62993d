"""The page for people who would rather look: builds, jobs, executions, live log.

Read-only: it asks ``/_emulator/state`` and ``/_emulator/log`` again and again.
"""

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>emulator</title>
<style>
  body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem;
         padding: 0 1rem; color: #222; background: #fff }
  h1 { font-size: 1.2rem } h2 { font-size: 1rem; margin-top: 2rem }
  table { border-collapse: collapse; width: 100% }
  td, th { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #ddd;
           vertical-align: top }
  tr[data-filter] { cursor: pointer } tr.chosen { background: #eef4ff }
  pre { background: #f6f6f6; padding: 1rem; overflow: auto; max-height: 30rem }
  .ERROR, .CRITICAL, .FAILURE { color: #b00020 } .WARNING { color: #8a5a00 }
  .SUCCESS { color: #0a6b2d }
</style>
<h1>Emulated project <span id="project"></span></h1>
<h2>Builds</h2><table id="builds"></table>
<h2>Jobs</h2><table id="jobs"></table>
<h2>Executions</h2><table id="executions"></table>
<h2>Log <small id="which">choose a build or an execution</small></h2>
<pre id="log"></pre>
<script>
  let filter = null, next = 0;
  const $ = id => document.getElementById(id);
  const cell = (row, text, kind) => {
    const td = document.createElement('td');
    td.textContent = text; td.className = kind || ''; row.append(td);
  };
  const fill = (id, rows) => {
    const table = $(id); table.replaceChildren();
    for (const { cells, wanted } of rows) {
      const row = document.createElement('tr');
      cells.forEach(c => cell(row, ...[].concat(c)));
      if (wanted) {
        row.dataset.filter = wanted;
        row.classList.toggle('chosen', wanted === filter);
        row.onclick = () => {
          filter = wanted; next = 0; $('log').replaceChildren();
          $('which').textContent = cells[0];
        };
      }
      table.append(row);
    }
    if (!rows.length) { const row = document.createElement('tr'); cell(row, 'none yet');
                        table.append(row); }
  };
  async function look() {
    try {
      const state = await (await fetch('/_emulator/state')).json();
      $('project').textContent = state.project + ', ' + state.region;
      fill('builds', state.builds.map(b => ({
        cells: [b.id, [b.status, b.status], b.created,
                b.steps.map(s => s.id + ': ' + s.status).join(', ') + ' ' + b.detail],
        wanted: 'resource.type="build" AND resource.labels.build_id="' + b.id + '"' })));
      fill('jobs', state.jobs.map(name => ({ cells: [name] })));
      fill('executions', state.executions.map(e => ({
        cells: [e.name.split('/').pop(),
                e.done ? (e.succeeded ? ['succeeded', 'SUCCESS'] :
                          e.cancelled ? 'cancelled' : ['failed', 'FAILURE']) : 'running',
                e.created],
        wanted: 'labels."run.googleapis.com/execution_name"="' +
                e.name.split('/').pop() + '"' })));
      if (filter) {
        const told = await (await fetch('/_emulator/log?from=' + next + '&filter=' +
                                        encodeURIComponent(filter))).json();
        next = told.next;
        for (const line of told.lines) {
          const span = document.createElement('span');
          span.className = line.severity;
          span.textContent = line.time.slice(11, 23) + '  ' + line.text + '\\n';
          $('log').append(span);
        }
      }
    } catch (error) { $('project').textContent = '(no answer)'; }
    setTimeout(look, 1000);
  }
  look();
</script>
</html>
"""
