package node

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/demes-chat/demes/internal/chat"
)

// leftover is a store whose commits each leave something to be erased.
type leftover struct {
	Store
	start  time.Time
	fail   atomic.Bool
	stale  bool
	erased []time.Duration // when there was something to erase
	asked  int
}

func (s *leftover) Commit([]*chat.Batch) error { s.stale = true; return nil }

func (s *leftover) Erase() error {
	s.asked++
	if s.fail.Load() {
		return errors.New("a reader is in the way")
	}
	if s.stale {
		s.erased = append(s.erased, time.Since(s.start))
	}
	s.stale = false
	return nil
}

func runWriter(t *testing.T, run func(t *testing.T, s *leftover, w *writer)) {
	synctest.Test(t, func(t *testing.T) {
		s := &leftover{start: time.Now()}
		w := newWriter(s)
		run(t, s, w)
		w.close()
		if s.stale {
			t.Error("something is left after the writer was closed")
		}
	})
}

func commitAt(t *testing.T, w *writer, s *leftover, at time.Duration) {
	t.Helper()
	time.Sleep(at - time.Since(s.start))
	if err := w.commit(&chat.Batch{}); err != nil {
		t.Fatal(err)
	}
}

func wantErased(t *testing.T, s *leftover, want ...time.Duration) {
	t.Helper()
	synctest.Wait()
	if !slices.Equal(s.erased, want) {
		t.Errorf("erased at %v, want %v", s.erased, want)
	}
}

func TestWriterErasesWhenItIsIdle(t *testing.T) {
	runWriter(t, func(t *testing.T, s *leftover, w *writer) {
		commitAt(t, w, s, 10*time.Second)
		commitAt(t, w, s, 10500*time.Millisecond)
		time.Sleep(time.Hour)
		wantErased(t, s, 11500*time.Millisecond)
		commitAt(t, w, s, 2*time.Hour)
		time.Sleep(time.Minute)
		wantErased(t, s, 11500*time.Millisecond, 2*time.Hour+time.Second)
		if s.asked > 3 {
			t.Errorf("asked %d times to erase, want 3: at the start and after each burst", s.asked)
		}
	})
}

func TestWriterErasesUnderLoad(t *testing.T) {
	runWriter(t, func(t *testing.T, s *leftover, w *writer) {
		for at := time.Second / 2; at < 70*time.Second; at += time.Second / 2 {
			commitAt(t, w, s, at)
		}
		wantErased(t, s, 30500*time.Millisecond, 61*time.Second)
	})
}

func TestWriterErasesWhenItIsClosed(t *testing.T) {
	var closed *leftover
	runWriter(t, func(t *testing.T, s *leftover, w *writer) {
		closed = s
		commitAt(t, w, s, time.Second/2)
	})
	if len(closed.erased) != 1 {
		t.Errorf("erased at %v, want once, at the close", closed.erased)
	}
}

func TestWriterTriesAgainToErase(t *testing.T) {
	runWriter(t, func(t *testing.T, s *leftover, w *writer) {
		s.fail.Store(true)
		commitAt(t, w, s, time.Second/2)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		s.fail.Store(false)
		time.Sleep(time.Minute)
		wantErased(t, s, 31500*time.Millisecond)
	})
}
