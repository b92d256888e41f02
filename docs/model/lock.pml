/*
** lock.pml - the lock of src/lock.c, every interleaving of three threads, one of
** which may be killed between any two of its steps
**
** Checked: nobody meets another inside (assert), and nobody is left asleep (an
** invalid end state): each survivor comes to its end, whatever the order of
** releases, marks, rings and a death.
**
** A step is one atomic access to 'owner' (with its compare-and-swap), or one
** access to the line, which the guard protects. The looks that make up for a
** ring that died with its sender are there only once somebody has died: without
** a death no wake may need them.
*/
#define N       3
#define ROUNDS  (_pid == 0 -> 2 : 1)
#define NONE    255

byte owner = NONE;        /* the word without KEY_BIT */
bool marked = false;      /* KEY_BIT; with owner == NONE: LOCK_KEPT */
byte guard = NONE;
byte line[N];             /* who waits, the first in line[0] */
byte length = 0;
bool rung[N];
bool dead[N];
bool somebody_died = false;
byte inside = NONE;

#define first       (length > 0 -> line[0] : NONE)
#define alone(me)   (length == 0 || (length == 1 && line[0] == me))

inline leave_line(who) {
  k = 0;
  do
  :: k < length && line[k] == who -> break
  :: k < length && line[k] != who -> k++
  :: k >= length -> break
  od;
  if
  :: k < length ->
     do
     :: k + 1 < length -> line[k] = line[k + 1]; k++
     :: else -> break
     od;
     length--; line[length] = 0
  :: else
  fi;
  k = 0
}

inline is_in_line(who) {
  there = false; k = 0;
  do
  :: k < length -> there = there || line[k] == who; k++
  :: else -> break
  od;
  k = 0
}

/* guard_lock: the guard of a dead holder is taken over (and has nothing to repair
   but the line's tail, which this model does not have). */
inline lock_guard() {
  atomic { (guard == NONE || dead[guard]) -> guard = _pid }
}
inline unlock_guard() { guard = NONE }

/* May end here, for good: SIGKILL. */
#define mortal  if :: !somebody_died -> goto killed :: true fi

active [N] proctype thread() {
  byte round = 0, next = NONE, k = 0;
  bool there, got;
  do
  :: round == ROUNDS -> break
  :: else ->
    /* lock_acquire */
    got = false;
    if
    :: atomic { owner == NONE && !marked -> owner = _pid; got = true }
    :: true  /* it was not free, when looked at */
    fi;
    mortal;
    if
    :: !got ->
       lock_guard(); mortal;
       do
       :: atomic {  /* take: free, or kept for us, or its holder has died */
            ((owner == NONE && (!marked || first == NONE || first == _pid))
              || (owner != NONE && dead[owner])) ->
            owner = _pid; marked = !alone(_pid) }
          mortal; break
       :: atomic { owner != NONE && !dead[owner] && !marked -> marked = true }  /* mark */
          mortal
       :: ((owner != NONE && !dead[owner] && marked)
            || (owner == NONE && marked && first != NONE && first != _pid)) ->
          mortal;
          atomic {  /* gate_join, once */
            is_in_line(_pid);
            if :: !there -> line[length] = _pid; length++ :: else fi }
          mortal;
          unlock_guard(); mortal;
          if
          :: atomic { rung[_pid] -> rung[_pid] = false }
          :: somebody_died  /* a look */
          fi;
          mortal;
          lock_guard(); mortal;
          if  /* record_look: the one it waits for has died, and is swept */
          :: atomic { first != NONE && dead[first] -> leave_line(line[0]) }
          :: else
          fi
       od;
       atomic { leave_line(_pid) }
       mortal;
       unlock_guard(); mortal
    :: else
    fi;

    /* inside */
    assert(inside == NONE || dead[inside]);
    inside = _pid; mortal;
    assert(owner == _pid);
    inside = NONE; mortal;

    /* lock_release */
    if
    :: atomic { owner == _pid && !marked -> owner = NONE }
    :: atomic { owner == _pid && marked -> skip }
       mortal;
       lock_guard(); mortal;
       next = first;
       if
       :: next == NONE -> atomic { owner = NONE; marked = false }
       :: next != NONE -> atomic { owner = NONE; marked = false }  /* short of patience */
       :: next != NONE -> atomic { owner = NONE; marked = true }   /* kept for him */
       fi;
       mortal;
       unlock_guard(); mortal;
       if
       :: next != NONE -> rung[next] = true; next = NONE
       :: else
       fi
    fi;
    mortal;
    round++
  od;
  goto done;
killed:
  atomic { somebody_died = true; dead[_pid] = true }
done:
  skip
}
