module judge

go 1.26

require k8s.io/apiextensions-apiserver v0.37.2
