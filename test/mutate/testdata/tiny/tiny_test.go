package tiny

import "testing"

func TestLess(t *testing.T) {
	if !Less(1, 2) || Less(2, 2) {
		t.Error("Less")
	}
}

func TestSum(t *testing.T) {
	if Sum(1, 0) != 1 {
		t.Error("Sum")
	}
}

func TestLast(t *testing.T) {
	if Last(-1) != 0 || Last(0) != 0 || Last(1) != 1 {
		t.Error("Last")
	}
}

func TestLimit(t *testing.T) {
	if Limit != 6 {
		t.Error("Limit")
	}
}
