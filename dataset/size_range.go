package dataset

// SizeRange tells of the sizes that images have in their files, upright, before they are brought to one size. Sides are in pixels.
type SizeRange struct {
	LeastHeight int `json:"least_height"`
	MostHeight  int `json:"most_height"`
	LeastWidth  int `json:"least_width"`
	MostWidth   int `json:"most_width"`
	// Distinct counts the different sizes.
	Distinct int `json:"distinct"`
}

func sizeRange(sizes []imageSize) (r SizeRange) {
	distinct := map[imageSize]bool{}
	for i, s := range sizes {
		if i == 0 {
			r = SizeRange{s.height, s.height, s.width, s.width, 0}
		}
		r.LeastHeight, r.MostHeight = min(r.LeastHeight, s.height), max(r.MostHeight, s.height)
		r.LeastWidth, r.MostWidth = min(r.LeastWidth, s.width), max(r.MostWidth, s.width)
		distinct[s] = true
	}
	r.Distinct = len(distinct)
	return r
}
