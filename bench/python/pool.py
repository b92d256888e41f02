# pool.py thread|process|mp [idle|start]: ThreadPoolExecutor, ProcessPoolExecutor, multiprocessing.Pool
import multiprocessing, sys, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from kit import *

kind, mode = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "many"
context = multiprocessing.get_context("fork")

def same(x): return x

def opened(workers):
    if kind == "mp": return context.Pool(workers)
    if kind == "thread": return ThreadPoolExecutor(workers)
    return ProcessPoolExecutor(workers, mp_context=context)

def submit(pool, x):
    return pool.apply_async(same, (x,)).get if kind == "mp" else pool.submit(same, x).result

if mode == "many":
    count = n(100000 if kind == "thread" else 20000)
    with opened(2) as pool:
        submit(pool, 0)()
        began = now()
        assert sum([get() for get in [submit(pool, i) for i in range(count)]]) == count * (count - 1) // 2
        report(now() - began, count)
elif mode == "idle":
    count, spent = n(300), 0
    with opened(2) as pool:
        submit(pool, 0)()
        for i in range(count):
            time.sleep(0.002)
            began = now()
            submit(pool, i)()
            spent += now() - began
    report(spent, count)
else:
    count, spent = n(20), 0
    for i in range(count):
        began = now()
        with opened(4) as pool:
            submit(pool, i)()
            spent += now() - began
    report(spent, count)
