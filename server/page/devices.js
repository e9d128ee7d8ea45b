// What this browser has to choose from.

// devices lists those of a kind, as "audioinput". Names are known only after a
// grant.
export async function devices(kind) {
  if (!navigator.mediaDevices?.enumerateDevices) return [];
  const all = await navigator.mediaDevices.enumerateDevices();
  return all.filter((d) => d.kind === kind && d.deviceId && d.deviceId !== 'default' && d.label);
}

// offer puts what was found behind the first option of a list, whose choice stays
// if it is still there.
export function offer(list, found) {
  const chosen = list.value;
  list.querySelectorAll('[data-device]').forEach((o) => o.remove());
  const options = found.map((d) => new Option(d.label, d.deviceId));
  options.forEach((o) => { o.dataset.device = ''; });
  list.options[0].after(...options);
  list.value = [...list.options].some((o) => o.value === chosen) ? chosen : '';
}

// codecs lists what this browser can both send and receive, best first.
export function codecs(kind) {
  const mimeTypes = (side) => (side?.getCapabilities?.(kind)?.codecs ?? []).map((c) => c.mimeType);
  const receives = new Set(mimeTypes(globalThis.RTCRtpReceiver));
  const beside = /\/(cn|telephone-event|red|rtx|ulpfec|flexfec-03)$/i;
  return [...new Set(mimeTypes(globalThis.RTCRtpSender))].filter((m) => receives.has(m) && !beside.test(m));
}
