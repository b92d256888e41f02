# roundtrip.py simple|pipe: two threads over SimpleQueues, two processes over a Pipe
import multiprocessing, queue, sys, threading
from kit import *

count = n(20000)
if sys.argv[1] == "simple":
    there, back = queue.SimpleQueue(), queue.SimpleQueue()
    send, recv, far_send, far_recv = there.put, back.get, back.put, there.get
    start = threading.Thread
else:
    context = multiprocessing.get_context("fork")
    near, far = context.Pipe()
    send, recv, far_send, far_recv = near.send, near.recv, far.send, far.recv
    start = context.Process

def echo():
    for _ in range(count): far_send(far_recv())

other = start(target=echo)
other.start()
began = now()
for i in range(count):
    send(i)
    recv()
report(now() - began, count)
other.join()
