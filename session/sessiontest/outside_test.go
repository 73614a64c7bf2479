package sessiontest

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// What clients can have seen passes, and what they cannot have seen does not.
func TestOutsideModel(t *testing.T) {
	const grace = time.Second
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	refresh := func(presented uint64, from, to int, out Answer) porcupine.Operation {
		return porcupine.Operation{
			Input: Call{Presented: presented, From: ms(from), To: ms(to)}, Call: int64(ms(from)), Output: out, Return: int64(ms(to)),
		}
	}
	end := func(from, to int, out Answer) porcupine.Operation {
		return porcupine.Operation{
			Input: Call{End: true, From: ms(from), To: ms(to)}, Call: int64(ms(from)), Output: out, Return: int64(ms(to)),
		}
	}
	is := func(generation uint64) Answer { return Answer{Generation: generation} }
	ended, unknown := Answer{Ended: true}, Answer{Unknown: true}
	const never = 1 << 30 // for the end of a call that was not answered
	for name, c := range map[string]struct {
		history []porcupine.Operation
		right   bool
	}{
		"again inside":              {[]porcupine.Operation{refresh(1, 100, 110, is(1))}, true},
		"rotated inside":            {[]porcupine.Operation{refresh(1, 100, 110, is(2))}, false},
		"rotated past":              {[]porcupine.Operation{refresh(1, 1100, 1110, is(2))}, true},
		"again past":                {[]porcupine.Operation{refresh(1, 1100, 1110, is(1))}, false},
		"again, perhaps inside":     {[]porcupine.Operation{refresh(1, 900, 1110, is(1))}, true},
		"rotated, perhaps past":     {[]porcupine.Operation{refresh(1, 900, 1110, is(2))}, true},
		"rotated by two":            {[]porcupine.Operation{refresh(1, 1100, 1110, is(3))}, false},
		"parent inside":             {[]porcupine.Operation{refresh(1, 1100, 1110, is(2)), refresh(1, 1200, 1210, is(2))}, true},
		"parent ends inside":        {[]porcupine.Operation{refresh(1, 1100, 1110, is(2)), refresh(1, 1200, 1210, ended)}, false},
		"parent ends past":          {[]porcupine.Operation{refresh(1, 1100, 1110, is(2)), refresh(1, 2200, 2210, ended)}, true},
		"alive after reuse":         {[]porcupine.Operation{refresh(1, 1100, 1110, is(2)), refresh(1, 2200, 2210, ended), refresh(2, 2300, 2310, is(3))}, false},
		"ended by nobody":           {[]porcupine.Operation{refresh(1, 100, 110, ended)}, false},
		"alive after the end":       {[]porcupine.Operation{end(100, 110, ended), refresh(1, 200, 210, is(1))}, false},
		"alive beside the end":      {[]porcupine.Operation{end(100, 300, ended), refresh(1, 200, 210, is(1))}, true},
		"and dead, and alive":       {[]porcupine.Operation{end(100, 300, ended), refresh(1, 200, 210, ended), refresh(1, 220, 230, is(1))}, false},
		"end that may have been":    {[]porcupine.Operation{end(100, never, unknown), refresh(1, 200, 210, ended)}, true},
		"end that may not":          {[]porcupine.Operation{end(100, never, unknown), refresh(1, 200, 210, is(1))}, true},
		"end that was, and was not": {[]porcupine.Operation{end(100, never, unknown), refresh(1, 200, 210, ended), refresh(1, 220, 230, is(1))}, false},
		"lost rotation":             {[]porcupine.Operation{refresh(1, 1100, never, unknown), refresh(1, 1200, 1210, is(2)), refresh(2, 1220, 1230, is(2))}, true},
		"two successors":            {[]porcupine.Operation{refresh(1, 1100, 1210, is(2)), refresh(1, 1100, 1210, is(3))}, false},
	} {
		if got := porcupine.CheckOperations(OutsideModel(grace, ms(10)), c.history); got != c.right {
			t.Errorf("%s: %v", name, got)
		}
	}
}
