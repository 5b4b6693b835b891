package model

import "strings"

// stopWords appear in every text and tell nothing of it.
var stopWords = wordSet(`a about above after again all also although always am among an and any are around as at
be became because been before being below between both but by can cannot come could did do does doing done down
during each either else even ever every few first for from further get gets got had has have having he her here
hers him himself his how however i if in into is it its itself just last less like made make makes many may me might
more most much must my myself neither never new next no nor not now of off often on once one only or other our ours
ourselves out over own per quite rather really said same say says see she should since so some still such take than
that the their theirs them themselves then there these they thing things this those though three through thus to too
two under until up upon us use used using very want wants was we well were what when where which while who whom whose
why will with within without would yet you your yours yourself yourselves`)

func wordSet(words string) map[string]bool {
	set := make(map[string]bool)
	for w := range strings.FieldsSeq(words) {
		set[w] = true
	}
	return set
}
