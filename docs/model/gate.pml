/*
** gate.pml - the gate (src/gate.c): nobody sleeps through a wake
**
** Two waiters wait for two items; a waker puts them one by one, takes the first
** out of the line under the guard and rings his word after giving the guard
** back. A ring may also come for nothing (cancel of another life, a look). One
** of the waiters may time out at any moment: the wake that was his goes on.
** Sleeping threads look again by themselves only when somebody died: so here,
** where nobody dies, a lost wake is an invalid end state, which spin reports.
**
**   word:  AWAKE --cas--> ASLEEP --swap by the waker--> RUNG --swap--> AWAKE
**
** ASLEEP is each of the ways of sleeping; who is made to look (lookout.pml) is here
** one of those rung for nothing.
*/
#define N 2
mtype = { AWAKE, ASLEEP, RUNG };

mtype word[N] = AWAKE;
bool woken[N], in_line[N];
byte line[N], waiting;               /* the line of the gate, first at 0 */
byte items, got, gave_up;
bool guard;

inline lock_guard ()   { atomic { !guard -> guard = true } }
inline unlock_guard () { guard = false }

inline remove (who) {            /* unlink_node: wherever it stands */
  if
  :: waiting > 0 && line[0] == who -> line[0] = line[1]; waiting--
  :: waiting > 1 && line[1] == who -> waiting--
  :: else
  fi;
  in_line[who] = false
}

inline pop (who) {               /* gate_pop: unlinked first, marked then */
  who = N;
  if
  :: waiting > 0 -> who = line[0]; line[0] = line[1]; waiting--;
     in_line[who] = false; woken[who] = true
  :: else
  fi
}

inline ring (who) {              /* gate_ring: the swap, and the futex wake */
  if
  :: who < N -> word[who] = RUNG
  :: else
  fi
}

proctype waiter (byte me; bool impatient) {
  bool timed_out, again;
  byte next = N;
  lock_guard();
  do
  :: items > 0 -> items--; got++; break
  :: items == 0 && timed_out -> gave_up++; break
  :: items == 0 && !timed_out ->
     atomic {                    /* under the guard: one step for the others */
       if
       :: !in_line[me] ->
          in_line[me] = true; woken[me] = false;
          if
          :: again && waiting > 0 -> line[1] = line[0]; line[0] = me
          :: else -> line[waiting] = me
          fi;
          waiting++
       :: else
       fi
     };
     unlock_guard();
     if                          /* nap: the cas fails where it was rung */
     :: atomic { word[me] == AWAKE -> word[me] = ASLEEP };
        if
        :: word[me] != ASLEEP    /* the futex returns */
        :: impatient && !timed_out -> timed_out = true
        fi
     :: atomic { word[me] == RUNG }
     fi;
     word[me] = AWAKE;
     lock_guard();
     if
     :: woken[me] -> woken[me] = false; again = true;
        if
        :: timed_out && items > 0 -> skip   /* it takes the item all the same */
        :: timed_out && items == 0 -> atomic { pop(next) }; ring(next)
        :: else
        fi
     :: else
     fi
  od;
  atomic { remove(me) };
  unlock_guard()
}

proctype waker () {
  byte who, n;
  do
  :: n < N ->
     lock_guard();
     items++;
     atomic { pop(who) };
     unlock_guard();
     ring(who);
     n++
  :: else -> break
  od
}

/* Rings that mean nothing: at most two. */
proctype noise () {
  word[0] = RUNG;
  word[1] = RUNG
}

init {
  atomic { run waiter(0, false); run waiter(1, true); run waker(); run noise() };
  (_nr_pr == 1);                 /* all have come to their end */
  assert(got + gave_up == N && items == N - got && waiting == 0)
}
