package datadropout

import (
	"encoding/json"
	"math"
)

// Number is a float64 that JSON shows as null when it is not finite, since JSON has no NaN.
type Number float64

// MarshalJSON implements json.Marshaler.
func (x Number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(x))
}

// UnmarshalJSON implements json.Unmarshaler; null becomes NaN.
func (x *Number) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*x = Number(math.NaN())
		return nil
	}
	var f float64
	if err := json.Unmarshal(data, &f); err != nil {
		return err
	}
	*x = Number(f)
	return nil
}

// Interval is a closed interval [low, high].
type Interval [2]Number
