'use strict';

// Does what the test says, several things at a time; see Console in console.go.
async function work(job) {
  const result = { id: job.ID };
  try {
    result.value = String(await (0, eval)(`(async () => (${job.Expression}))()`));
  } catch (err) {
    result.error = `${err.name}: ${err.message}`;
  }
  await fetch('value', { method: 'POST', body: JSON.stringify(result) });
}

async function obey() {
  for (;;) {
    const response = await fetch('next', { cache: 'no-store' });
    if (response.ok) work(await response.json()).catch(console.error);
  }
}

addEventListener('load', () => obey().catch(console.error));
