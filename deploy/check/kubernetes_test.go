package check

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// manifests are what `kubectl kustomize deploy/kubernetes` makes.
type manifests struct {
	account    corev1.ServiceAccount
	config     corev1.ConfigMap
	deployment appsv1.Deployment
	service    corev1.Service
	budget     policyv1.PodDisruptionBudget
	network    networkingv1.NetworkPolicy
}

func kubernetes(t *testing.T) manifests {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(repository, "deploy/kubernetes"))
	if err != nil {
		t.Fatal(err)
	}
	var m manifests
	into := map[string]any{"ServiceAccount": &m.account, "ConfigMap": &m.config, "Deployment": &m.deployment, "Service": &m.service,
		"PodDisruptionBudget": &m.budget, "NetworkPolicy": &m.network}
	for _, resource := range built.Resources() {
		document, err := resource.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		object, known := into[resource.GetKind()]
		if !known {
			t.Fatalf("the manifests have one more %s than this test knows", resource.GetKind())
		}
		delete(into, resource.GetKind())
		strict, err := json.UnmarshalStrict(document, object)
		if err != nil || len(strict) > 0 {
			t.Errorf("%s: %v %v", resource.GetKind(), err, strict)
		}
	}
	for kind := range into {
		t.Errorf("the manifests have no %s", kind)
	}
	return m
}

func (m manifests) container(t *testing.T) corev1.Container {
	t.Helper()
	if n := len(m.deployment.Spec.Template.Spec.Containers); n != 1 {
		t.Fatalf("%d containers", n)
	}
	return m.deployment.Spec.Template.Spec.Containers[0]
}

func TestSUP06_KubernetesPodsPassTheRestrictedStandard(t *testing.T) {
	m := kubernetes(t)
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	pod := m.deployment.Spec.Template
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	if result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec)); !result.Allowed {
		t.Errorf("not admitted: %s", result.ForbiddenDetail())
	}
	c := m.container(t)
	if c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
		t.Error("the root file system can be written")
	}
	if *pod.Spec.AutomountServiceAccountToken || *m.account.AutomountServiceAccountToken || pod.Spec.ServiceAccountName != m.account.Name {
		t.Error("the pod gets a token for Kubernetes")
	}
	if pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks {
		t.Error("Kubernetes sets PAROLA_SERVICE_HOST, which Parola refuses")
	}
	if c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Errorf("resources are not bounded: %+v", c.Resources)
	}
}

// stopWithin is the default of server.stop_within.
const stopWithin = 20 * time.Second

var stopDelay = regexp.MustCompile(`(?m)^  stop_delay: (\S+)`)

func TestKubernetesProbesAskTheInternalListener(t *testing.T) {
	m := kubernetes(t)
	c := m.container(t)
	ports := make(map[string]int32)
	for _, p := range c.Ports {
		ports[p.Name] = p.ContainerPort
	}
	if ports["http"] != 8080 || ports["internal"] != 9090 {
		t.Fatalf("ports: %v", ports)
	}
	for name, probe := range map[string]*corev1.Probe{"/readyz": c.ReadinessProbe, "/livez": c.LivenessProbe, "startup": c.StartupProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Port.StrVal != "internal" || strings.HasPrefix(name, "/") && probe.HTTPGet.Path != name {
			t.Errorf("%s is probed by %+v", name, probe)
		}
	}
	found := stopDelay.FindStringSubmatch(m.config.Data["parola.yaml"])
	if found == nil {
		t.Fatal("parola.yaml has no stop_delay")
	}
	delay, err := time.ParseDuration(found[1])
	if err != nil {
		t.Fatal(err)
	}
	grace := time.Duration(*m.deployment.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
	notices := time.Duration(c.ReadinessProbe.PeriodSeconds*c.ReadinessProbe.FailureThreshold) * time.Second
	if delay <= notices || grace < delay+stopWithin+3*time.Second {
		t.Errorf("a pod that stops is noticed after %v, goes on for %v, and is killed after %v", notices, delay, grace)
	}
}

func TestKubernetesSelectsThePods(t *testing.T) {
	m := kubernetes(t)
	pod := labels.Set(m.deployment.Spec.Template.Labels)
	for name, selector := range map[string]*metav1.LabelSelector{
		"Deployment": m.deployment.Spec.Selector, "PodDisruptionBudget": m.budget.Spec.Selector, "NetworkPolicy": &m.network.Spec.PodSelector,
		"Service": {MatchLabels: m.service.Spec.Selector},
	} {
		s, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil || s.Empty() || !s.Matches(pod) {
			t.Errorf("%s selects %v, %v; the pods are %v", name, s, err, pod)
		}
	}
	for _, spread := range m.deployment.Spec.Template.Spec.TopologySpreadConstraints {
		if s, err := metav1.LabelSelectorAsSelector(spread.LabelSelector); err != nil || !s.Matches(pod) {
			t.Errorf("spread over %s selects %v, %v", spread.TopologyKey, s, err)
		}
	}
	if *m.deployment.Spec.Replicas < 2 || m.budget.Spec.MinAvailable.IntValue() >= int(*m.deployment.Spec.Replicas) {
		t.Errorf("%d pods, of which %v must stay: no machine could be drained", *m.deployment.Spec.Replicas, m.budget.Spec.MinAvailable)
	}
	for _, port := range m.service.Spec.Ports {
		if port.TargetPort.StrVal != "http" {
			t.Errorf("the Service leads to %v", port.TargetPort)
		}
	}
}

var secretFile = regexp.MustCompile(`\{file: (\S+)\}`)

func TestKubernetesConfigurationFindsItsSecrets(t *testing.T) {
	m := kubernetes(t)
	document := m.config.Data["parola.yaml"]
	source, err := os.ReadFile(filepath.Join(repository, "deploy/kubernetes/parola.yaml"))
	if err != nil || document != string(source) {
		t.Fatalf("the ConfigMap is not parola.yaml: %v", err)
	}
	mounted := make(map[string]string)
	for _, v := range m.container(t).VolumeMounts {
		mounted[v.Name] = v.MountPath
	}
	files := secretFile.FindAllStringSubmatch(document, -1)
	if len(files) < 6 {
		t.Errorf("only %d secrets", len(files))
	}
	for _, f := range files {
		if filepath.Dir(f[1]) != mounted["secrets"] {
			t.Errorf("%s is not in %s", f[1], mounted["secrets"])
		}
	}
	for _, v := range m.deployment.Spec.Template.Spec.Volumes {
		switch {
		case v.Name == "config" && v.ConfigMap.Name != m.config.Name:
			t.Errorf("the pods mount the ConfigMap %s, which is called %s", v.ConfigMap.Name, m.config.Name)
		case v.Name == "secrets" && *v.Secret.DefaultMode&0o007 != 0:
			t.Errorf("secrets have the mode %o", *v.Secret.DefaultMode)
		}
	}
}
