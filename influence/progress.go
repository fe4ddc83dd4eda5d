package influence

// counter turns samples evaluated into calls of a progress function.
type counter struct {
	report      func(done, total int)
	done, total int
}

func newCounter(report func(done, total int), total int) *counter {
	return &counter{report: report, total: total}
}

// add counts n more samples.
func (c *counter) add(n int) {
	c.done = min(c.total, c.done+n)
	if c.report != nil {
		c.report(c.done, c.total)
	}
}

// advance goes to where the given number of samples is left, if that lies ahead.
func (c *counter) advance(left int) {
	c.add(max(0, c.total-left-c.done))
}
