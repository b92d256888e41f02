# memory.py thread|process|queue|future: bytes (Pss) of each of N that do nothing
import multiprocessing, queue, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from kit import *

what = sys.argv[1]
count = n({"thread": 50, "process": 20, "queue": 5000, "future": 20000}[what])
context = multiprocessing.get_context("fork")
keep = []

def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024

def total():
    return pss("self") + sum(pss(one.pid) for one in keep if hasattr(one, "pid"))

def started(one):
    one.start()
    return one

stop = threading.Event() if what == "thread" else context.Event()
pool = ThreadPoolExecutor(1)
make = {
    "thread": lambda: started(threading.Thread(target=stop.wait)),
    "process": lambda: started(context.Process(target=stop.wait)),
    "queue": queue.Queue,
    "future": lambda: pool.submit(abs, 1),
}[what]
keep.append(make())
time.sleep(0.2)
before = total()
keep += [make() for _ in range(count)]
if what == "future":
    for one in keep: one.result()
time.sleep(0.2)
print(f"bytes {(total() - before) / count:.0f}")
stop.set()
pool.shutdown()
