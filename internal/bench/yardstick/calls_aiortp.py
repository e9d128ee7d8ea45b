"""Calls of aiortp, in pairs on loopback: each encodes and sends a frame of PCMU every
20 ms, and receives and decodes one.

    calls_aiortp.py N WARM-UP MEASURED

Times are in milliseconds. It prints the same as calls.c.
"""

import array
import asyncio
import logging
import math
import os
import sys
import time

from aiortp import PayloadType, RTPSession

PERIOD = 0.02
TONE = array.array("h", (int(8000 * math.sin(2 * math.pi * 440 * i / 8000)) for i in range(160))).tobytes()


async def open_pair(port, heard):
    """Opens two calls that talk to each other, on free ports from port on."""
    while True:
        try:
            calls = []
            for own, far in ((port, port + 2), (port + 2, port)):
                calls.append(await RTPSession.create(local_addr=("127.0.0.1", own), remote_addr=("127.0.0.1", far), payload_type=PayloadType.PCMU))
                calls[-1].on_audio = heard
            return calls, port + 4
        except OSError:
            for call in calls:
                await call.close()
            port += 4
            if port > 32000:
                raise


async def main(n, warm_up, measured):
    frames = 0

    def heard(_pcm, _timestamp):
        nonlocal frames
        frames += 1

    calls, port = [], 10000 + os.getpid() % 2000 * 4
    while len(calls) < n:
        pair, port = await open_pair(port, heard)
        calls += pair

    clock = asyncio.get_running_loop().time
    begin = clock() + 0.1
    due = [begin + i * PERIOD / n for i in range(n)]
    late = [[] for _ in range(n)]
    turn = sent = before = 0
    used = None
    while True:
        now = clock()
        if used is None and now >= begin + warm_up:
            used, before = time.process_time(), sent
        if now >= begin + warm_up + measured:
            break
        for _ in range(64):  # and then what was received has its turn
            if due[turn] > now:
                break
            calls[turn].send_audio_pcm_auto(TONE)
            sent += 1
            if used is not None:
                late[turn].append(now - due[turn])
            due[turn] += PERIOD
            turn = (turn + 1) % n
        wait = due[turn] - clock()
        await asyncio.sleep(max(0.001, wait) if wait > 0 else 0)
    used = time.process_time() - used
    packets = sent - before
    await asyncio.sleep(0.1)
    lost = sum(max(0, call.stats.get("packets_lost", 0)) for call in calls)
    all_late = sorted(1000 * (x - min(each)) for each in late if each for x in each) or [0]
    quantiles = (all_late[int(q * (len(all_late) - 1))] for q in (0.5, 0.99, 0.999))
    print(f"{1e9 * used / max(1, packets):.1f} {packets} {lost}", *(f"{x:.3f}" for x in quantiles), flush=True)
    if frames == 0:
        print("nothing was heard", file=sys.stderr)
    os._exit(0 if frames else 1)


logging.disable(logging.CRITICAL)
asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]) / 1000, int(sys.argv[3]) / 1000))
