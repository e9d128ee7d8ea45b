# aiortc that sends back what it hears: each track is decoded, and encoded again.
# Requests and replies are lines of JSON, as of the other programs of the bench.
import asyncio
import gc
import json
import os
import sys
import time

import aioice.ice
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

# The others do not leave the machine either.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]

calls = []


async def answer(sdp):
    call = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    calls.append(call)
    call.on("track", call.addTrack)
    await call.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
    await call.setLocalDescription(await call.createAnswer())
    return call.localDescription.sdp


async def reply(request):
    if request["do"] == "answer":
        return {"sdp": await answer(request["sdp"])}
    if request["do"] == "measure":
        used = time.process_time_ns()
        gc.collect()
        return {"used_ns": used, "cpu_ns": time.process_time_ns()}
    return {"error": "aiortc does not " + request["do"]}


async def main():
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            r = await reply(json.loads(line))
        except Exception as e:
            r = {"error": repr(e)}
        print(json.dumps(r), flush=True)
    os._exit(0)  # the calls need not end one by one


asyncio.run(main())
