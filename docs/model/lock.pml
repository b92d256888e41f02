/*
** lock.pml - the lock (src/lock.c): one holder at a time, nobody left waiting
**
** Three threads, each once through a section; one of them may be killed between
** any two steps. The word is 0, a key, a key | MARK, or KEPT, as lock.h draws
** it; the free path is one compare-and-swap each way, without the guard. Who
** found the lock held marks it and joins the line under the guard; a release
** that meets the mark rings the first in line, or keeps the lock for him.
** A sleeper wakes when he is rung; once somebody has died also by himself (he
** looks every 80 ms). So without a death a lost ring is an invalid end state.
**
** A dead holder of the guard is taken over (guard.c); what he left of the line
** is repaired there, so a change of the line is one step here.
*/
#define N     3
#define MARK  16
#define KEPT  32
#define holder(w) ((w) & 15)
#define kept_for(w, who)  ((w) == KEPT && (waiting == 0 || line[0] == who))
#define abandoned(w)      ((w) != KEPT && holder(w) != 0 && dead[holder(w)])
#define to_be_had(w)      ((w) == 0 || kept_for(w, me) || abandoned(w))

byte owner;                      /* the word: 0, 1..N, with MARK; KEPT */
byte guard;                      /* 0: free; 1..N: held */
byte line[N], waiting;
bool in_line[N + 1], rung[N + 1], dead[N + 2], some_died;   /* N + 1: the sweeper */
byte inside, done, over;
bool swept;

inline lock_guard () {
  atomic { guard == 0 || dead[guard] -> guard = me }
}

inline unlock_guard () { guard = 0 }

/* Killed here? */
inline step () {
  if
  :: mortal && !some_died -> atomic { some_died = true; dead[me] = true; goto gone }
  :: true
  fi
}

/* The same in the section: the dead is inside no more. */
inline step_inside () {
  if
  :: mortal && !some_died ->
     atomic { some_died = true; dead[me] = true; inside--; goto gone }
  :: true
  fi
}

inline remove (who) {
  byte at = 0;
  do
  :: at < waiting && line[at] == who -> break
  :: at < waiting && line[at] != who -> at++
  :: at == waiting -> break
  od;
  if
  :: at < waiting ->
     waiting--;
     do
     :: at < waiting && at + 1 < N -> line[at] = line[at + 1]; at++
     :: else -> break
     od
  :: else
  fi;
  in_line[who] = false;
  at = 0
}

proctype thread (byte me; bool mortal) {
  byte word, next;
  bool others;

  /* acquire: the free path */
  if
  :: atomic { owner == 0 -> owner = me }; goto section
  :: owner != 0
  fi;
  step();
  lock_guard();
again:
  step();
  word = owner;
  step();
  if
  :: to_be_had(word) ->
     others = waiting > 1 || (waiting == 1 && !in_line[me]);
     if
     :: atomic { owner == word ->
                 if :: others -> owner = me | MARK :: else -> owner = me fi }
     :: atomic { owner != word -> goto again }
     fi
  :: else ->
     if
     :: (word & MARK) || word == KEPT
     :: !(word & MARK) && word != KEPT ->
        if
        :: atomic { owner == word -> owner = word | MARK }
        :: atomic { owner != word -> goto again }
        fi
     fi;
     step();
     atomic {
       if
       :: !in_line[me] -> line[waiting] = me; waiting++; in_line[me] = true
       :: else
       fi
     };
     step();
     unlock_guard();
     step();
     atomic { rung[me] || some_died -> rung[me] = false };
     step();
     lock_guard();
     goto again
  fi;
  step();
  atomic { remove(me) };
  step();
  unlock_guard();

section:
  inside++;
  assert(inside == 1);
  step_inside();
  inside--;

  /* release */
  if
  :: atomic { owner == me -> owner = 0 }; goto out
  :: owner != me
  fi;
  step();
  lock_guard();
  next = 0;
  word = 0;
  if
  :: waiting > 0 -> next = line[0];
     if
     :: word = KEPT              /* he has waited long */
     :: true
     fi
  :: else
  fi;
  step();
  owner = word;
  step();
  unlock_guard();
  step();
  if
  :: next != 0 -> rung[next] = true
  :: else
  fi;
out:
  done++;
  goto end;
gone:
  skip;
end:
  over++
}

/* The sweep takes the dead out of the line, and passes on a ring he had got. */
proctype sweeper () {
  byte who = 1, me = 0, next;
end_idle:
  some_died;
  do
  :: who <= N && !dead[who] -> who++
  :: who <= N && dead[who] -> break
  od;
  atomic { (guard == 0 || dead[guard]) -> guard = N + 1 };
  atomic { remove(who); if :: waiting > 0 -> next = line[0] :: else -> next = 0 fi };
  guard = 0;
  if
  :: next != 0 -> rung[next] = true
  :: else
  fi;
  swept = true
}

init {
  atomic { run thread(1, true); run thread(2, false); run thread(3, false);
           run sweeper() };
  over == N && (!some_died || swept);
  assert(done == N || (some_died && done >= N - 1))
}
