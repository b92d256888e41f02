# spawn.py thread|process
import multiprocessing, sys, threading
from kit import *

def empty(): pass

start = threading.Thread if sys.argv[1] == "thread" else multiprocessing.get_context("fork").Process
count = n(1000)
began = now()
for _ in range(count):
    one = start(target=empty)
    one.start()
    one.join()
report(now() - began, count)
