// The vendored interface speaks English only; this says its own words in Chinese, where they stand.

const CHINESE = {
  "Try it out": "试一试",
  Cancel: "取消",
  Execute: "发送请求",
  Clear: "清除结果",
  Reset: "重置",
  Parameters: "参数",
  Name: "名称",
  Description: "说明",
  "No parameters": "无参数",
  "Request body": "请求体",
  Responses: "答复",
  "Server response": "服务器答复",
  Code: "状态码",
  Details: "详情",
  Links: "链接",
  "No links": "无",
  Curl: "curl 命令",
  "Request URL": "请求地址",
  "Response body": "答复正文",
  "Response headers": "答复头",
  Download: "下载",
  Schemas: "数据结构",
  Schema: "结构",
  Examples: "示例",
  Example: "示例",
  "Example Value": "示例",
  "Edit Value": "编辑",
  Undocumented: "未说明",
  "Media type": "媒体类型",
  "Loading...": "请稍候…",
  LOADING: "请稍候",
  "Expand all": "全部展开",
  "Collapse all": "全部收起",
  "Send empty value": "发送空值",
  required: "必填",
  "Failed to fetch.": "请求没有送达。",
  "Required field is not provided": "必填项未填写",
  "No response body": "无正文",
  "Default value": "默认值",
};

const PLACES = { "(query)": "（查询）", "(path)": "（路径）", "(header)": "（请求头）" };

/** Keep the words under a node Chinese, also those that come later. */
export function speakChinese(root) {
  new MutationObserver((changes) => {
    for (const change of changes) {
      if (change.type === "characterData") translate(change.target);
      for (const added of change.addedNodes) walk(added);
    }
  }).observe(root, { childList: true, subtree: true, characterData: true });
  walk(root);
}

function walk(node) {
  if (node.nodeType === Node.TEXT_NODE) {
    translate(node);
  } else if (node.nodeType === Node.ELEMENT_NODE && !isData(node)) {
    node.childNodes.forEach(walk);
  }
}

// What the caller wrote or the server answered is nobody's to translate.
function isData(element) {
  return element.closest("pre, code, textarea, .microlight, .renderedMarkdown, .body-param__text") !== null;
}

function translate(textNode) {
  const words = textNode.nodeValue.trim();
  const chinese = CHINESE[words] ?? PLACES[words];
  if (chinese === undefined || textNode.parentElement === null || isData(textNode.parentElement)) return;
  if (words === "required" && textNode.parentElement.closest("h5, span") === null) return;
  textNode.nodeValue = textNode.nodeValue.replace(words, chinese);
}
