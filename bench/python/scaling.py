# scaling.py WORKERS: primes below N by trial division in 16 parts, multiprocessing.Pool
import multiprocessing, sys
from kit import *

limit = n(1000000)

def count(part):
    total = 0
    for x in range(2 * part + 1, limit, 32):
        d, prime = 3, True
        while d * d <= x:
            if x % d == 0:
                prime = False
                break
            d += 2
        total += prime
    return total

with multiprocessing.get_context("fork").Pool(int(sys.argv[1])) as pool:
    pool.apply(abs, (1,))
    began = now()
    total = 1 + sum(pool.map(count, range(1, 17), 1))
    report(now() - began, limit)
assert limit != 1000000 or total == 78498
