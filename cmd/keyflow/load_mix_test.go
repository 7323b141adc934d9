package main

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
)

// TestWholeNumbers has the smallest whole numbers that are to each other like the shares.
func TestWholeNumbers(t *testing.T) {
	for want, shares := range map[string][]*big.Rat{
		"[1]":       {big.NewRat(2, 3)},
		"[9 1]":     {big.NewRat(9, 10), big.NewRat(1, 10)},
		"[27 3 10]": {big.NewRat(27, 40), big.NewRat(3, 40), big.NewRat(1, 4)},
		"[6 4 3]":   {big.NewRat(1, 2), big.NewRat(1, 3), big.NewRat(1, 4)},
	} {
		if got := fmt.Sprint(wholeNumbers(shares)); got != want {
			t.Errorf("%v: got %s, want %s", shares, got, want)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		shares := make([]*big.Rat, 1+random.IntN(8))
		for i := range shares {
			shares[i] = big.NewRat(1+random.Int64N(1000), 1+random.Int64N(1_000_000))
		}
		whole, divisor := wholeNumbers(shares), new(big.Int)
		for i, w := range whole {
			divisor.GCD(nil, nil, divisor, w)
			want := new(big.Rat).Quo(shares[i], shares[0])
			if got := new(big.Rat).SetFrac(w, whole[0]); got.Cmp(want) != 0 {
				t.Fatalf("%v: %v to %v is not %v", shares, w, whole[0], want)
			}
		}
		if divisor.Cmp(big.NewInt(1)) != 0 {
			t.Fatalf("%v: all of %v can be divided by %v", shares, whole, divisor)
		}
	}
}
