/*
** queue_wait.pml - the wakes of a bounded fifo (src/queue.c)
**
** Two putters, two getters, room for one. Each side has a guard, a line and a
** flag; who finds nothing sets the flag, looks again, and only then joins the
** line and sleeps until rung. Who has committed looks at the other side's flag.
**
** Nobody looks at the clock here: a wake that is lost is a deadlock, which the
** verifier reports as an invalid end state. Loads and stores of 'puts', 'gets',
** 'getting' and 'putting' are sequentially consistent in the program too.
*/
#define ROOM   1
#define EACH   1
#define IN_LINE(line)  (len(line) > 0)

bit pguard, gguard;
byte puts, gets, got;
bit getting, putting;
chan nonempty = [2] of { byte };
chan nonfull = [2] of { byte };
bit rung[4];

inline lock(g) { atomic { g == 0 -> g = 1 } }
inline unlock(g) { g = 0 }

/* Takes the first out of a line and rings it: wake_line. */
inline wake(g, line, flag) {
  lock(g);
  if
  :: IN_LINE(line) -> line ? first
  :: else -> first = 255
  fi;
  if
  :: !IN_LINE(line) -> flag = 0
  :: else
  fi;
  unlock(g);
  if
  :: first != 255 -> rung[first] = 1
  :: else
  fi
}

/* The end of a wait: whoever leaves something behind wakes the next. */
inline pass_on(more, line, flag) {
  next = 255;
  if
  :: waited && (more) && IN_LINE(line) -> line ? next
  :: else
  fi;
  if
  :: waited && !IN_LINE(line) -> flag = 0
  :: else
  fi
}

proctype putter (byte me) {
  byte n, first, next;
  bit waited;
  do
  :: n == EACH -> break
  :: else ->
    waited = 0;
    lock(pguard);
    do
    :: puts - gets < ROOM -> break
    :: else ->
      if
      :: putting == 0 -> putting = 1
      :: else ->
        nonfull ! me;
        waited = 1;
        unlock(pguard);
        atomic { rung[me] == 1 -> rung[me] = 0 }
        lock(pguard)
      fi
    od;
    puts++;
    pass_on(puts - gets < ROOM, nonfull, putting);
    unlock(pguard);
    if
    :: next != 255 -> rung[next] = 1
    :: else
    fi;
    if
    :: getting -> wake(gguard, nonempty, getting)
    :: else
    fi;
    n++
  od
}

proctype getter (byte me) {
  byte n, first, next;
  bit waited;
  do
  :: n == EACH -> break
  :: else ->
    waited = 0;
    lock(gguard);
    do
    :: puts > gets -> break
    :: else ->
      if
      :: getting == 0 -> getting = 1
      :: else ->
        nonempty ! me;
        waited = 1;
        unlock(gguard);
        atomic { rung[me] == 1 -> rung[me] = 0 }
        lock(gguard)
      fi
    od;
    assert(gets < puts && puts <= gets + ROOM);
    gets++;
    pass_on(puts > gets, nonempty, getting);
    unlock(gguard);
    if
    :: next != 255 -> rung[next] = 1
    :: else
    fi;
    if
    :: putting -> wake(pguard, nonfull, putting)
    :: else
    fi;
    got++;
    n++
  od
}

init {
  atomic { run putter(0); run putter(1); run getter(2); run getter(3) }
  (got == 2 * EACH) -> assert(puts == gets && puts == 2 * EACH)
}
