import { Trouble, captureTrouble, insecure } from './words.js';

// openSound returns the track to send: a microphone, or the test chime; null if
// none is wanted.
export async function openSound(choice, processing, context) {
  if (choice === 'none') return null;
  if (choice === 'tone') return chime(context);
  if (!navigator.mediaDevices?.getUserMedia) throw insecure('microphone');
  const audio = {
    echoCancellation: processing, noiseSuppression: processing, autoGainControl: processing,
  };
  if (choice) audio.deviceId = { exact: choice };
  try {
    return (await navigator.mediaDevices.getUserMedia({ audio })).getAudioTracks()[0];
  } catch (err) {
    throw captureTrouble(err, 'microphone');
  }
}

// chime plays two soft notes and a pause, so that the way there and back shows
// as the distance between two shapes.
function chime(context) {
  if (!context) throw new Trouble('This browser has no Web Audio', 'Choose a microphone instead of the test chime.');
  const rate = context.sampleRate;
  const buffer = context.createBuffer(1, Math.round(rate * 2.4), rate);
  const samples = buffer.getChannelData(0);
  for (const [hz, at, gain] of [[523.25, 0, 0.3], [783.99, 0.28, 0.2]]) {
    const begin = Math.round(at * rate);
    for (let i = begin; i < samples.length; i++) {
      const t = (i - begin) / rate;
      samples[i] += gain * Math.min(1, t * 200) * Math.exp(-t * 5) * Math.sin(2 * Math.PI * hz * t);
    }
  }
  const player = new AudioBufferSourceNode(context, { buffer, loop: true });
  const out = context.createMediaStreamDestination();
  player.connect(out);
  player.start();
  return out.stream.getAudioTracks()[0];
}
