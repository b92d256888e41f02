# lock.py [contended]
import sys, threading
from kit import *

lock, count = threading.Lock(), n(1000000)

def free():
    acquire, release = lock.acquire, lock.release
    began = now()
    for _ in range(count):
        acquire()
        release()
    report(now() - began, count)

x = 0

def work():
    global x
    for _ in range(count // 2):
        with lock:
            x += 1

if sys.argv[1:] == ["contended"]:
    both = [threading.Thread(target=work) for _ in range(2)]
    began = now()
    for one in both: one.start()
    for one in both: one.join()
    report(now() - began, count)
else:
    free()
