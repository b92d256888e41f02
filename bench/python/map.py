# map.py pool|executor CHUNK: x*x over N integers, two processes
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
from kit import *

def square(x): return x * x

count, chunk = n(1000000), int(sys.argv[2])
context = multiprocessing.get_context("fork")
numbers = list(range(count))
if sys.argv[1] == "pool":
    with context.Pool(2) as pool:
        pool.map(square, [1, 2])
        began = now()
        results = pool.map(square, numbers, chunk)
        report(now() - began, count)
else:
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        list(pool.map(square, [1, 2]))
        began = now()
        results = list(pool.map(square, numbers, chunksize=chunk))
        report(now() - began, count)
assert results[-1] == (count - 1) ** 2
