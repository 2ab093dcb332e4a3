import{m as r}from"./index-DuZ-DcOD.js";var a=r();export{a as r};
