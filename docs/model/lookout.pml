/*
** lookout.pml - who sleeps without a clock, and for its own process alone, is not
** forgotten (src/gate.c, G4 and G5)
**
** Dozing: the ring that was to come has died with its sender, each time. Two threads
** doze, twice each; the lookout rests when he finds nobody. He says so first and
** then looks at the words; they write their word first and then look whether he
** rests.
**
** Near: a thread sleeps on a futex that only its process can ring, and the process
** forks; the child rings. The forker writes 'alone' first and then looks at the word;
** the thread writes its word first and then looks at 'alone'.
**
** Nobody has a clock here: who is forgotten is an invalid end state.
*/
#define N     2
#define EACH  2

mtype = { AWAKE, RUNG, LOOK, DOZES, NEAR, FAR };
mtype = { RESTS, LOOKS };

/* ---- dozing ---- */

mtype word[N] = AWAKE;
mtype lookout = LOOKS;
bit called;                          /* SIGURG is on its way to the lookout */
byte ended;

proctype dozer (byte me) {
  byte n;
  do
  :: n == EACH -> break
  :: else ->
    word[me] = DOZES;
    if                               /* look_to_lookout */
    :: lookout == RESTS ->
       if
       :: atomic { lookout == RESTS -> lookout = LOOKS }; called = 1
       :: lookout != RESTS           /* the other has called him */
       fi
    :: else
    fi;
    word[me] == LOOK;                /* the futex returns */
    word[me] = AWAKE;
    n++
  od;
  ended++
}

proctype keeper () {
  byte i;
  bit due = 1, some;
  do
  :: due ->                          /* gate_look_out */
    lookout = RESTS;
    some = 0;
    i = 0;
    do
    :: i == N -> break
    :: i < N && word[i] == DOZES -> word[i] = LOOK; some = 1; i++
    :: i < N && word[i] != DOZES -> i++
    od;
    if
    :: some -> lookout = LOOKS
    :: else -> due = (lookout == LOOKS)
    fi
  :: !due && called -> called = 0; due = 1
  :: !due && ended == N -> break
  od
}

/* ---- near ---- */

mtype its = AWAKE;
bit alone = 1, item, in_near, in_far;

proctype sleeper () {
  mtype how;
  do
  :: item -> break
  :: else ->
    how = (alone -> NEAR : FAR);
    if
    :: atomic { its == AWAKE -> its = how };
       if
       :: how == FAR ->
          atomic { in_far = (its == FAR) };
          !in_far
       :: how == NEAR && alone ->    /* looked at once more, and seen in time */
          atomic { in_near = (its == NEAR) };
          !in_near
       :: how == NEAR && !alone
       fi
    :: its != AWAKE                  /* rung before */
    fi;
    its = AWAKE
  od
}

proctype forker () {
  mtype was;
  bit mine;
  alone = 0;                         /* before_fork */
  was = its;
  if
  :: was == NEAR ->
     atomic { mine = (its == NEAR); if :: mine -> its = LOOK :: else fi };
     if
     :: mine -> in_near = 0
     :: else
     fi
  :: else
  fi;
  item = 1;                          /* the child, from here on */
  atomic { was = its; its = RUNG };  /* gate_ring */
  if
  :: was == FAR -> in_far = 0
  :: else                            /* NEAR: this ring would not be heard */
  fi
}

init {
  atomic { run dozer(0); run dozer(1); run keeper(); run sleeper(); run forker() };
  (_nr_pr == 1)
}
