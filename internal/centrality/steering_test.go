package centrality_test

import (
	"testing"

	"github.com/demes-chat/demes/internal/centrality"
)

// ranked builds a succession of members that each reach two others. Scores are
// sums over these two hops, so they are the delivery times that Steering
// compares.
func ranked(numbersAndScores ...float64) []centrality.Rank {
	var ranks []centrality.Rank
	for i := 0; i < len(numbersAndScores); i += 2 {
		ranks = append(ranks, centrality.Rank{ID: id(int(numbersAndScores[i])), ScoreMs: numbersAndScores[i+1], Reachable: 2})
	}
	return ranks
}

const window = centrality.WindowMs

func TestHostMovesAfterSixBetterWindows(t *testing.T) {
	tests := []struct {
		name       string
		succession []centrality.Rank
		move       bool
	}{
		{"the host is first", ranked(0, 50, 1, 60), false},
		{"better by 10 % and 5 ms", ranked(1, 54, 0, 60), true},
		{"better by 10 % but not by 5 ms", ranked(1, 20, 0, 24.9), false},
		{"better by 5 ms but not by 10 %", ranked(1, 91, 0, 100), false},
		{"better by exactly 5 ms", ranked(1, 20, 0, 25), true},
		{"equal", ranked(1, 60, 0, 60), false},
		{"the host cannot be ranked", ranked(1, 60), true},
		{"nobody to move to", nil, false},
		{"only the host", ranked(0, 60), false},
		{"reaches more, though slower", []centrality.Rank{
			{ID: id(1), ScoreMs: 500, Reachable: 3}, {ID: id(0), ScoreMs: 10, Reachable: 2}}, true},
		{"nobody reaches anybody", []centrality.Rank{{ID: id(1)}, {ID: id(0)}}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var s centrality.Steering
			for i := range int64(5) {
				if to, move := s.Advise(i*window, id(0), test.succession); move {
					t.Fatalf("window %d: moved to %d, want none before the sixth", i+1, number(to))
				}
			}
			to, move := s.Advise(5*window, id(0), test.succession)
			if move != test.move || (move && to != id(1)) {
				t.Errorf("sixth window: got %d, %v; want %v", number(to), move, test.move)
			}
		})
	}
}

func TestOneWorseWindowBeginsTheRowAnew(t *testing.T) {
	better, worse := ranked(1, 50, 0, 60), ranked(1, 58, 0, 60)
	var s centrality.Steering
	for i := range int64(11) {
		succession := better
		if i == 5 {
			succession = worse
		}
		if _, move := s.Advise(i*window, id(0), succession); move {
			t.Fatalf("moved in window %d, want in window 12", i+1)
		}
	}
	if _, move := s.Advise(11*window, id(0), better); !move {
		t.Error("window 12: got no move, want one")
	}
}

func TestCallsWithinAWindowCountOnce(t *testing.T) {
	var s centrality.Steering
	for now := int64(0); now < 5*window; now += 100 {
		if _, move := s.Advise(now, id(0), ranked(1, 50, 0, 60)); move {
			t.Fatalf("moved after %d ms, want after %d", now, 5*window)
		}
	}
	if _, move := s.Advise(5*window, id(0), ranked(1, 50, 0, 60)); !move {
		t.Error("got no move after six windows")
	}
}

func TestWindowsThatLieFarApartAreNoRow(t *testing.T) {
	var s centrality.Steering
	for i := range int64(20) {
		if _, move := s.Advise(i*3*window, id(0), ranked(1, 50, 0, 60)); move {
			t.Fatalf("moved in comparison %d, though each is 30 s after the last", i+1)
		}
	}
}

func TestRivalsThatTakeTurnsDoNotHoldEachOtherBack(t *testing.T) {
	var s centrality.Steering
	for i := range int64(6) {
		succession := ranked(1, 50, 2, 51, 0, 60)
		if i%2 == 1 {
			succession = ranked(2, 50, 1, 51, 0, 60)
		}
		to, move := s.Advise(i*window, id(0), succession)
		if move != (i == 5) || (move && to != id(2)) {
			t.Fatalf("window %d: got %d, %v; want a move to 2 in the sixth", i+1, number(to), move)
		}
	}
}

func TestLuckyNewcomerAtTheTopMustWait(t *testing.T) {
	var s centrality.Steering
	for i := range int64(5) {
		s.Advise(i*window, id(0), ranked(1, 50, 2, 58, 0, 60))
	}
	if to, move := s.Advise(5*window, id(0), ranked(2, 40, 1, 50, 0, 60)); move {
		t.Fatalf("moved to %d, which was better only once", number(to))
	}
	if to, move := s.Advise(6*window, id(0), ranked(1, 50, 2, 58, 0, 60)); !move || to != id(1) {
		t.Errorf("got %d, %v; want 1, which was better seven times", number(to), move)
	}
}

func TestHurrySkipsTheWindowsButNotTheMargin(t *testing.T) {
	var s centrality.Steering
	s.Hurry()
	if _, move := s.Advise(0, id(0), ranked(1, 58, 0, 60)); move {
		t.Error("moved for less than the margin")
	}
	if _, move := s.Advise(100, id(0), ranked(1, 50, 0, 60)); move {
		t.Error("moved by a hurry that was over")
	}
	s.Hurry()
	if to, move := s.Advise(200, id(0), ranked(1, 50, 0, 60)); !move || to != id(1) {
		t.Errorf("got %d, %v; want a move to 1 at once", number(to), move)
	}
}

func TestAtMostOneMoveAMinute(t *testing.T) {
	var s centrality.Steering
	s.Moved(1000)
	s.Hurry()
	for now := int64(1000); now < 61_000; now += window {
		if _, move := s.Advise(now, id(0), ranked(1, 50, 0, 60)); move {
			t.Fatalf("moved %d ms after the last move", now-1000)
		}
	}
	// The hurry waited: no six windows are needed now.
	s.Advise(60_999, id(0), ranked(0, 50, 1, 60)) // which ends the row
	if _, move := s.Advise(61_000, id(0), ranked(1, 50, 0, 60)); !move {
		t.Fatal("got no move a minute after the last")
	}
	s.Hurry()
	if _, move := s.Advise(61_100, id(0), ranked(1, 50, 0, 60)); move {
		t.Error("an advice that was not followed: moved again within the minute")
	}
	s.Hurry()
	if _, move := s.Advise(121_000, id(0), ranked(1, 50, 0, 60)); !move {
		t.Error("an advice that was not followed: got none a minute later")
	}
}

func TestNewHostStartsItsOwnRow(t *testing.T) {
	var s centrality.Steering
	for i := range int64(5) {
		s.Advise(i*window, id(0), ranked(2, 50, 0, 60, 1, 60))
	}
	for i := int64(5); i < 10; i++ {
		if _, move := s.Advise(i*window, id(1), ranked(2, 50, 0, 60, 1, 60)); move {
			t.Fatalf("window %d: moved by the row against the former host", i+1)
		}
	}
	if to, move := s.Advise(10*window, id(1), ranked(2, 50, 0, 60, 1, 60)); !move || to != id(2) {
		t.Errorf("got %d, %v; want a move to 2", number(to), move)
	}
}

func TestClockThatJumpsBackDoesNotStopSteering(t *testing.T) {
	var s centrality.Steering
	s.Advise(1_000_000, id(0), ranked(1, 50, 0, 60))
	s.Moved(1_000_000)
	for now := int64(0); now <= 60_000; now += window {
		_, move := s.Advise(now, id(0), ranked(1, 50, 0, 60))
		if move != (now == 60_000) {
			t.Fatalf("at %d ms: got %v, want a move after one minute", now, move)
		}
	}
}
