import { Trouble, captureTrouble, insecure } from './words.js';

// openPicture returns the track to send: a camera, the screen, or a test picture;
// null if none is wanted. The size is as in "640x480".
export async function openPicture(choice, size) {
  if (choice === 'none') return null;
  if (choice === 'test') return testPicture(...size.split('x').map(Number));
  if (choice === 'screen') return openScreen();
  if (!navigator.mediaDevices?.getUserMedia) throw insecure('camera');
  const video = ideal(size);
  if (choice) video.deviceId = { exact: choice };
  try {
    return (await navigator.mediaDevices.getUserMedia({ video })).getVideoTracks()[0];
  } catch (err) {
    throw captureTrouble(err, 'camera');
  }
}

function ideal(size) {
  const [width, height] = size.split('x').map(Number);
  return { width: { ideal: width }, height: { ideal: height } };
}

// resize has the camera or the screen behind a track make pictures of another size.
export async function resize(track, size) {
  try {
    await track.applyConstraints(ideal(size));
  } catch (err) {
    throw captureTrouble(err, 'camera');
  }
}

async function openScreen() {
  if (!navigator.mediaDevices?.getDisplayMedia) throw new Trouble('The screen cannot be shared here', 'This browser does not let pages do that, or not at this address.');
  try {
    return (await navigator.mediaDevices.getDisplayMedia({ video: true })).getVideoTracks()[0];
  } catch (err) {
    throw new Trouble('The screen is not shared', 'It was not allowed. Try again, and choose what to show.', err.message);
  }
}

// A testPicture moves all the time, and its hand turns once a second, so that an
// eye sees how late a picture is that comes back.
function testPicture(width, height) {
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const c = canvas.getContext('2d', { alpha: false });
  const draw = () => {
    const now = performance.now() / 1000;
    for (let i = 0; i < 8; i++) {
      c.fillStyle = `hsl(${45 * i + 12 * now}deg 45% 42%)`;
      c.fillRect((i * width) / 8, 0, width / 8 + 1, height);
    }
    const [x, y, r] = [width / 2, height / 2, height / 3];
    c.fillStyle = '#10211d';
    c.beginPath();
    c.arc(x, y, r, 0, 7);
    c.fill();
    c.strokeStyle = '#4fd6bd';
    c.lineWidth = height / 40;
    c.lineCap = 'round';
    c.beginPath();
    c.moveTo(x, y);
    c.lineTo(x + 0.8 * r * Math.sin(2 * Math.PI * now), y - 0.8 * r * Math.cos(2 * Math.PI * now));
    c.stroke();
    c.fillStyle = '#eef6f3';
    c.font = `${Math.round(height / 12)}px system-ui, sans-serif`;
    c.textAlign = 'center';
    c.fillText((now % 1000).toFixed(1), x, y + r * 0.6);
  };
  draw();
  const [track] = canvas.captureStream(30).getVideoTracks();
  const timer = setInterval(() => (track.readyState === 'live' ? draw() : clearInterval(timer)), 33);
  return track;
}
