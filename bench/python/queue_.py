# queue_.py queue|simple|mp|pipe int|str|table|big PRODUCERS CONSUMERS [BATCH [BOUND]]
# (simple: queue.SimpleQueue, which is written in C and cannot be bounded)
import multiprocessing, queue, sys, threading
from kit import *

by, kind, producers, consumers = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
batch = int(sys.argv[5]) if len(sys.argv) > 5 else 1
bound = int(sys.argv[6]) if len(sys.argv) > 6 else 0
count = n(500 if kind == "big" else 50000)
context = multiprocessing.get_context("fork")
if by == "pipe":
    receiver, sender = context.Pipe(False)
    put, get = sender.send, receiver.recv
else:
    q = {"queue": queue.Queue, "simple": lambda _: queue.SimpleQueue(), "mp": context.Queue}[by](bound)
    put, get = q.put, q.get

def produce():
    make, each = payload(kind), count // producers
    if batch == 1:
        for i in range(each): put(make(i))
    else:
        for i in range(0, each, batch): put([make(j) for j in range(i, i + batch)])

def consume():
    for _ in range(0, count // consumers, batch): get()

start = threading.Thread if by in ("queue", "simple") else context.Process
them = [start(target=produce) for _ in range(producers)] + [start(target=consume) for _ in range(consumers)]
began = now()
for one in them: one.start()
for one in them: one.join()
report(now() - began, count)
