package statuslist

import "testing"

// Every index comes once, whatever the size, and in an order that the key decides.
func TestShuffleIsOneToOne(t *testing.T) {
	for _, size := range []int{1, 2, 3, 4, 5, 16, 17, 100, 1000, 1 << 12, 1<<12 + 1} {
		var orders [2][]uint64
		for k := range orders {
			s, err := newShuffle([16]byte{byte(k)}, size)
			if err != nil {
				t.Fatal(err)
			}
			seen := make([]bool, size)
			for slot := range size {
				i := s.index(slot)
				if i >= uint64(size) || seen[i] {
					t.Fatalf("size %d: slot %d got index %d, which is outside or taken", size, slot, i)
				}
				seen[i] = true
				orders[k] = append(orders[k], i)
			}
		}
		same, steps := 0, 0
		for i := range size {
			if orders[0][i] == orders[1][i] {
				same++
			}
			if i > 0 && orders[0][i] == orders[0][i-1]+1 {
				steps++
			}
		}
		if size >= 1000 && (same > size/50 || steps > size/50) {
			t.Errorf("size %d: %d indices do not depend on the key, %d follow the one before", size, same, steps)
		}
	}
}
