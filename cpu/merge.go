package cpu

import "slices"

// groups are the groups that read v element by element, and whether v has other readers too.
func (s *fuser) groups(v *value) (groups []*unit, outside bool) {
	for _, r := range s.readers[v] {
		if r.op == nil || !r.plain || !isElementwise(r.op) && !isSink(r.op) {
			outside = true
			continue
		}
		for _, u := range s.units[r.op] {
			if !slices.Contains(groups, u) {
				groups = append(groups, u)
			}
		}
	}
	return groups, outside
}

// follow notes that the readers of v come after u, which computes it.
func (s *fuser) follow(u *unit, v *value) {
	for _, r := range s.readers[v] {
		if r.op != nil {
			u.next = append(u.next, s.units[r.op]...)
		}
	}
}

// current is the unit itself, or what it has become a part of.
func (u *unit) current() *unit {
	for u.into != nil {
		u = u.into
	}
	return u
}

// leadsTo returns a function that says whether a unit is the target or comes before it: whether there is a way from its
// results to the target. It holds until the next one is asked for.
func (s *fuser) leadsTo(target *unit) func(u *unit) bool {
	s.searches++
	search := s.searches
	var reaches func(u *unit) bool
	reaches = func(u *unit) bool {
		if u == target {
			return true
		}
		if u.seen == search {
			return false
		}
		u.seen = search
		for _, next := range u.next {
			if reaches(next.current()) {
				return true
			}
		}
		return false
	}
	return reaches
}

// merge makes one group of those that may run in one pass: they have room for each other's registers, their sinks have
// sums of the same size, and none leads to another. It returns the groups that are left.
func (s *fuser) merge(groups []*unit) []*unit {
	for i := 0; i < len(groups); i++ {
		for j := len(groups) - 1; j > i; j-- {
			a, b := groups[i], groups[j]
			if a.n != b.n || a.cost+b.cost > maxRegisters || a.sinks()+b.sinks() > maxSinks ||
				a.inner > 1 && b.inner > 1 && a.inner != b.inner || s.leadsTo(b)(a) || s.leadsTo(a)(b) {
				continue
			}
			s.unite(a, b)
			groups = slices.Delete(groups, j, j+1)
		}
	}
	return groups
}

// unite moves all of group b into group a.
func (s *fuser) unite(a, b *unit) {
	for _, op := range b.ops {
		if !slices.Contains(a.ops, op) {
			a.ops = append(a.ops, op)
			if isElementwise(op) {
				a.cost += operationCost(op)
			} else {
				a.cost++
			}
		}
		units := slices.DeleteFunc(s.units[op], func(u *unit) bool { return u == a || u == b })
		s.units[op] = append(units, a)
	}
	for v := range b.needed {
		a.needed[v] = true
	}
	a.inner = max(a.inner, b.inner)
	a.next = append(a.next, b.next...)
	b.into = a
}

// sinks is the number of sums at the end of a group.
func (u *unit) sinks() int {
	n := 0
	for _, op := range u.ops {
		if !isElementwise(op) {
			n++
		}
	}
	return n
}
