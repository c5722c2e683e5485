"""Lists, watches and patches a custom resource of the API server of KUBECONFIG with Python's Kubernetes client; prints what it saw."""

import json
import threading

from kubernetes import client, config, dynamic, watch

GROUP, VERSION, PLURAL, NAMESPACE = "example.com", "v1", "widgets", "default"

config.load_kube_config()
api = client.CustomObjectsApi()
seen = []
ready = threading.Event()


def follow():
    # The list says where the watch goes on, so nothing between the two is missed.
    start = api.list_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL)["metadata"]["resourceVersion"]
    ready.set()
    events = watch.Watch()
    for event in events.stream(
        api.list_namespaced_custom_object, GROUP, VERSION, NAMESPACE, PLURAL, resource_version=start, timeout_seconds=30
    ):
        seen.append([event["type"], event["object"]["spec"]["size"]])
        if event["type"] == "DELETED":
            events.stop()


follower = threading.Thread(target=follow)
follower.start()
ready.wait()
widget = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Widget", "metadata": {"name": "py"}, "spec": {"size": 1}}
api.create_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL, widget)
api.patch_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL, "py", {"spec": {"size": 2}})
try:
    api.patch_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL, "py", {"spec": {"size": 0}})
    refused = None
except client.exceptions.ApiException as error:
    refused = [error.status, json.loads(error.body)["reason"]]
dynamic_widgets = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version=f"{GROUP}/{VERSION}", kind="Widget")
applied = dynamic_widgets.server_side_apply(
    body={**widget, "spec": {"size": 3}}, namespace=NAMESPACE, field_manager="python", force_conflicts=True
)
names = [item["metadata"]["name"] for item in api.list_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL)["items"]]
api.delete_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL, "py")
follower.join()
config_maps = client.CoreV1Api().list_namespaced_config_map("kube-system").kind
version = client.VersionApi().get_code().git_version
print(json.dumps({
    "events": seen, "refused": refused, "applied": applied.spec.size, "names": names, "configMaps": config_maps, "version": version,
}))
