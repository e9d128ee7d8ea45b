# The end of aiortc: sends a tone and a picture, bright on the left, and a text
# on a channel, and prints what comes back. Descriptions go by standard input and
# output, a line of JSON each.
import asyncio
import json
import math
import sys

import numpy
from aiortc import RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from aiortc.mediastreams import AudioStreamTrack
from av import VideoFrame


class Tone(AudioStreamTrack):
    async def recv(self):
        frame = await super().recv()
        n, rate = frame.samples, frame.sample_rate
        t = (frame.pts + numpy.arange(n)) / rate
        frame.planes[0].update((8000 * numpy.sin(2 * math.pi * 440 * t)).astype(numpy.int16).tobytes())
        return frame


class Picture(VideoStreamTrack):
    async def recv(self):
        image = numpy.full((240, 320, 3), 40, numpy.uint8)
        image[:, :160] = 220
        frame = VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = await self.next_timestamp()
        return frame


async def hear(track):
    heard = numpy.zeros(0)
    while len(heard) < 96000:
        frame = await track.recv()
        samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
        if len(heard) or numpy.abs(samples).max() > 1000:
            heard = numpy.append(heard, samples)
    heard = heard[-48000:]
    spectrum = numpy.abs(numpy.fft.rfft(heard * numpy.hanning(len(heard))))
    return {"hz": int(spectrum.argmax()), "level": int(numpy.abs(heard).max())}


async def see(track):
    for _ in range(20):
        frame = await track.recv()
    image = frame.to_ndarray(format="rgb24")
    return {"size": f"{frame.width}x{frame.height}", "left": int(image[:, 20:140].mean()), "right": int(image[:, 180:300].mean())}


async def read():
    return json.loads(await asyncio.get_event_loop().run_in_executor(None, sys.stdin.readline))


def write(value):
    print(json.dumps(value), flush=True)


async def main(role):
    pc = RTCPeerConnection()
    loop = asyncio.get_event_loop()
    tracks = {"audio": loop.create_future(), "video": loop.create_future()}
    text = loop.create_future()
    pc.on("track", lambda track: tracks[track.kind].done() or tracks[track.kind].set_result(track))

    @pc.on("datachannel")
    def accept(channel):
        @channel.on("message")
        def message(m):
            channel.send(m)
            text.set_result(m)

    pc.addTrack(Tone())
    pc.addTrack(Picture())
    if role == "offer":
        channel = pc.createDataChannel("chat")
        channel.on("open", lambda: channel.send("hello"))
        channel.on("message", text.set_result)
        await pc.setLocalDescription(await pc.createOffer())
        write(pc.localDescription.sdp)
        await pc.setRemoteDescription(RTCSessionDescription(await read(), "answer"))
    else:
        await pc.setRemoteDescription(RTCSessionDescription(await read(), "offer"))
        await pc.setLocalDescription(await pc.createAnswer())
        write(pc.localDescription.sdp)
    heard, seen, said = await asyncio.wait_for(asyncio.gather(hear(await tracks["audio"]), see(await tracks["video"]), text), 40)
    write({**heard, **seen, "text": said})
    await read()  # until the other end has seen all
    await pc.close()


asyncio.run(main(sys.argv[1]))
