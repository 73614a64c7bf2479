package main

import (
	"fmt"
	"os"

	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// leases returns the client for Leases, and the namespace.
func (c *connections) leases() (coordinationv1client.LeasesGetter, string, error) {
	config, namespace, err := c.kubernetes()
	if err != nil {
		return nil, "", err
	}
	client, err := coordinationv1client.NewForConfig(config)
	if err != nil {
		return nil, "", fmt.Errorf("kubeconfig: %w", err)
	}
	return client, namespace, nil
}

// secrets returns the client for Secrets, and the namespace.
func (c *connections) secrets() (corev1client.SecretsGetter, string, error) {
	config, namespace, err := c.kubernetes()
	if err != nil {
		return nil, "", err
	}
	client, err := corev1client.NewForConfig(config)
	if err != nil {
		return nil, "", fmt.Errorf("kubeconfig: %w", err)
	}
	return client, namespace, nil
}

// kubernetes finds the API server: by the file that the settings or KUBECONFIG name, otherwise as a pod is told. A file in
// somebody's home is not looked at: which cluster elects must not depend on who starts authd.
func (c *connections) kubernetes() (config *rest.Config, namespace string, err error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.cfg.Kubeconfig
	if os.Getenv(clientcmd.RecommendedConfigPathEnvVar) == "" {
		rules.Precedence = nil
	}
	loading := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{})
	if config, err = loading.ClientConfig(); err != nil {
		return nil, "", fmt.Errorf("kubeconfig: %w", err)
	}
	config.UserAgent = "authd/" + buildVersion()
	config.QPS = -1 // client-go's 5 a second would hold up a leader that has several steps to do; the API server has its own limits
	if namespace = c.cfg.KubernetesNamespace; namespace == "" {
		if namespace, _, err = loading.Namespace(); err != nil {
			return nil, "", fmt.Errorf("kubernetes-namespace: %w", err)
		}
	}
	return config, namespace, nil
}
